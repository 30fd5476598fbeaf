//! The kinds that the server has, and those that a test adds.

/// A kind of objects.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The API group; empty for the core.
    pub group: String,
    /// Its versions, the preferred one first.
    pub versions: Vec<String>,
    /// `Deployment`
    pub kind: String,
    /// `deployments`
    pub plural: String,
    /// `deploy`
    pub short: Vec<String>,
    /// In namespaces, or of the whole cluster?
    pub namespaced: bool,
    /// `status`, `scale`, …
    pub parts: Vec<String>,
    /// Does the server know its fields (and not only a custom resource's)?
    pub builtin: bool,
    /// Only answers, keeps nothing.
    pub review: bool,
}

impl Kind {
    /// A kind of the server's own.
    fn own(group: &str, versions: &str, kind: &str, plural: &str, more: &str) -> Self {
        let words = |key: &str| -> Vec<String> {
            let found = more.split_whitespace().find_map(|w| w.strip_prefix(key));
            found.map(|w| w.split(',').map(str::to_owned).collect()).unwrap_or_default()
        };
        Self {
            group: group.to_owned(),
            versions: versions.split(',').map(str::to_owned).collect(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            short: words("short="),
            namespaced: !more.split_whitespace().any(|w| w == "cluster"),
            parts: words("parts="),
            builtin: true,
            review: more.split_whitespace().any(|w| w == "review"),
        }
    }

    /// A custom resource with a status subresource, in namespaces: `Kind::custom("chaos-mesh.org", "v1alpha1",
    /// "NetworkChaos", "networkchaos")`.
    pub fn custom(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self { builtin: false, ..Self::own(group, version, kind, plural, "parts=status") }
    }

    /// Without a status subresource: a status is written like any other field (as chaos-mesh.org has it).
    pub fn plain(self) -> Self {
        Self { parts: Vec::new(), ..self }
    }

    pub fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|p| p == part)
    }

    /// Does `metadata.generation` count its specs?
    pub fn counts(&self) -> bool {
        let plain = ["", "rbac.authorization.k8s.io", "storage.k8s.io", "coordination.k8s.io", "discovery.k8s.io"];
        !plain.contains(&self.group.as_str())
    }

    /// Is an update without `resourceVersion` refused?
    pub fn careful(&self) -> bool {
        let plural = self.plural.as_str();
        !self.builtin || ["leases", "poddisruptionbudgets", "endpointslices", "storageclasses"].contains(&plural)
    }
}

/// All that the server has from the start; `old` is 1.20.
pub fn all(old: bool) -> Vec<Kind> {
    let own = Kind::own;
    let mut kinds = core();
    let (policy, cron, slices) = if old { ("v1beta1", "v1beta1", "v1beta1") } else { ("v1", "v1", "v1") };
    kinds.extend([
        own("apps", "v1", "Deployment", "deployments", "short=deploy parts=status,scale"),
        own("apps", "v1", "ReplicaSet", "replicasets", "short=rs parts=status,scale"),
        own("apps", "v1", "StatefulSet", "statefulsets", "short=sts parts=status,scale"),
        own("apps", "v1", "DaemonSet", "daemonsets", "short=ds parts=status"),
        own("apps", "v1", "ControllerRevision", "controllerrevisions", ""),
        own("batch", "v1", "Job", "jobs", "parts=status"),
        own("batch", cron, "CronJob", "cronjobs", "short=cj parts=status"),
        own("policy", policy, "PodDisruptionBudget", "poddisruptionbudgets", "short=pdb parts=status"),
        own("coordination.k8s.io", "v1", "Lease", "leases", ""),
        own("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "short=netpol"),
        own("networking.k8s.io", "v1", "Ingress", "ingresses", "short=ing parts=status"),
        own("discovery.k8s.io", slices, "EndpointSlice", "endpointslices", ""),
        own("rbac.authorization.k8s.io", "v1", "Role", "roles", ""),
        own("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", ""),
        own("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "cluster"),
        own("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", "cluster"),
        own("storage.k8s.io", "v1", "StorageClass", "storageclasses", "short=sc cluster"),
        own("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "short=hpa parts=status"),
        own("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "cluster review"),
        own("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "cluster review"),
    ]);
    kinds.extend(foreign());
    kinds
}

fn core() -> Vec<Kind> {
    let own = |kind, plural, more| Kind::own("", "v1", kind, plural, more);
    vec![
        own("Namespace", "namespaces", "short=ns cluster parts=status,finalize"),
        own("Node", "nodes", "short=no cluster parts=status"),
        own("Pod", "pods", "short=po parts=status,log,exec,portforward,eviction,binding,attach,ephemeralcontainers"),
        own("Service", "services", "short=svc parts=status"),
        own("Endpoints", "endpoints", "short=ep"),
        own("ConfigMap", "configmaps", "short=cm"),
        own("Secret", "secrets", ""),
        own("ServiceAccount", "serviceaccounts", "short=sa"),
        own("Event", "events", "short=ev"),
        own("PersistentVolumeClaim", "persistentvolumeclaims", "short=pvc parts=status"),
        own("PersistentVolume", "persistentvolumes", "short=pv cluster parts=status"),
        own("ReplicationController", "replicationcontrollers", "short=rc parts=status,scale"),
        own("ResourceQuota", "resourcequotas", "short=quota parts=status"),
        own("LimitRange", "limitranges", "short=limits"),
    ]
}

/// Of other projects, as far as a drill uses them: Velero, snapshots, Chaos Mesh, LitmusChaos.
fn foreign() -> Vec<Kind> {
    let snapshots = "snapshot.storage.k8s.io";
    let mut kinds = vec![
        Kind::custom("velero.io", "v1", "Backup", "backups").plain(),
        Kind::custom("velero.io", "v1", "Restore", "restores").plain(),
        Kind::custom("velero.io", "v1", "DownloadRequest", "downloadrequests").plain(),
        Kind::custom("velero.io", "v1", "BackupStorageLocation", "backupstoragelocations").plain(),
        Kind::custom(snapshots, "v1", "VolumeSnapshot", "volumesnapshots"),
        Kind { namespaced: false, ..Kind::custom(snapshots, "v1", "VolumeSnapshotContent", "volumesnapshotcontents") },
        Kind { namespaced: false, ..Kind::custom(snapshots, "v1", "VolumeSnapshotClass", "volumesnapshotclasses") },
        Kind::custom("litmuschaos.io", "v1alpha1", "ChaosEngine", "chaosengines"),
        Kind::custom("litmuschaos.io", "v1alpha1", "ChaosResult", "chaosresults"),
        Kind::custom("litmuschaos.io", "v1alpha1", "ChaosExperiment", "chaosexperiments"),
    ];
    for kind in ["NetworkChaos", "PodChaos", "IOChaos", "StressChaos", "TimeChaos", "DNSChaos", "HTTPChaos"] {
        kinds.push(Kind::custom("chaos-mesh.org", "v1alpha1", kind, &kind.to_lowercase()).plain());
    }
    kinds
}
