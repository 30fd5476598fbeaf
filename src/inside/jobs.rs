//! The Job that runs a drill, and the Job that watches over it. Both have the same account, files and secrets: the guardian
//! heals with what the runner could heal with.

use super::names::{PART_LABEL, SET_LABEL};
use super::{Apart, File, SecretUse, Setting, files_volume};
use serde_json::{Map, Value, json};

/// The user and group of the containers: nobody in particular.
const USER: u32 = 65532;
/// Finished Jobs that nobody removed are removed by the cluster after this, where it can.
const KEPT: u32 = 86_400;
/// A guardian that was evicted or whose node died is started again, so often.
const GUARDIANS: u32 = 6;
/// A guardian needs no time to end: whatever it was at is done again by the next.
const GUARDIAN_GRACE: u32 = 30;

/// The Job that runs the drill: one attempt, ended at the latest by the drill's own worst case, and then with the time that
/// healing may take.
#[must_use]
pub fn runner_job(setting: &Setting, files: &[File], run: Option<&str>) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": setting.metadata(&setting.names.set, "runner"),
        "spec": runner_spec(setting, files, run)})
}

/// The Job that heals when the runner no longer can. It is created first.
#[must_use]
pub fn guardian_job(setting: &Setting, files: &[File]) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": setting.metadata(&setting.names.guardian, "guardian"),
        "spec": guardian_spec(setting, files)})
}

pub(super) fn runner_spec(setting: &Setting, files: &[File], run: Option<&str>) -> Value {
    let mut words = vec!["run".to_owned(), format!("{}/{}", setting.drill_folder(), setting.playbook)];
    let mut pair = |name: &str, value: String| words.extend([name.to_owned(), value]);
    pair("--reports", setting.reports_folder());
    if let Some(run) = run {
        pair("--run-id", run.to_owned());
    }
    pair("--lease", format!("{}/{}", setting.namespace, setting.names.set));
    pair("--hold", format!("{}s", setting.times.hold.as_secs()));
    // What is open stands in the cluster, and irreversible faults are confirmed where the run is ordered.
    words.extend(["--volatile-state", "--yes"].map(str::to_owned));
    words.extend(setting.arguments.iter().cloned());
    let grace = setting.times.grace().as_secs();
    json!({
        "backoffLimit": 0,
        "activeDeadlineSeconds": setting.times.deadline().as_secs(),
        "ttlSecondsAfterFinished": KEPT,
        "template": pod(setting, files, ("runner", &words), &Ending { restart: "Never", grace }),
    })
}

pub(super) fn guardian_spec(setting: &Setting, files: &[File]) -> Value {
    let lease = format!("{}/{}", setting.namespace, setting.names.set);
    let wait = format!("{}s", setting.times.start().as_secs());
    let mut words: Vec<String> = ["guardian", "--from-cluster", &lease, "--wait", &wait].map(str::to_owned).into();
    let own = setting.reaches_out.then_some(&setting.namespace).filter(|own| !setting.homes.contains(own));
    words.extend(setting.homes.iter().chain(own).flat_map(|home| ["--home".to_owned(), home.clone()]));
    let ending = Ending { restart: "OnFailure", grace: u64::from(GUARDIAN_GRACE) };
    json!({
        "backoffLimit": GUARDIANS,
        // It outlives its runner by what healing may take.
        "activeDeadlineSeconds": (setting.times.deadline() + setting.times.grace()).as_secs(),
        "ttlSecondsAfterFinished": KEPT,
        "template": pod(setting, files, ("guardian", &words), &ending),
    })
}

struct Ending {
    restart: &'static str,
    grace: u64,
}

fn pod(setting: &Setting, files: &[File], (part, words): (&str, &[String]), ending: &Ending) -> Value {
    let other = if part == "runner" { "guardian" } else { "runner" };
    let container = json!({
        "name": part,
        "image": setting.image,
        "command": setting.program,
        "args": words,
        "env": variables(setting),
        "envFrom": from_secrets(setting),
        // No limit of processor time: a runner that is throttled measures its own gaps.
        "resources": {"requests": {"cpu": if part == "runner" { "500m" } else { "50m" }, "memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts(setting),
    });
    json!({
        "metadata": {"labels": setting.labels(part),
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        "spec": {
            "restartPolicy": ending.restart,
            "serviceAccountName": setting.account_name(),
            "terminationGracePeriodSeconds": ending.grace,
            "affinity": {"podAntiAffinity": apart(setting, other)},
            "securityContext": {"runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": volumes(setting, files, part),
        },
    })
}

/// Away from the other one: a node that is lost takes only one of them.
fn apart(setting: &Setting, other: &str) -> Value {
    let term = json!({"topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {SET_LABEL: setting.names.set, PART_LABEL: other}}});
    match setting.apart {
        Apart::Always => json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]}),
        Apart::IfPossible => {
            json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]})
        }
    }
}

fn variables(setting: &Setting) -> Value {
    let from = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let data = format!("{}/data", setting.home);
    let mut all = vec![
        from("POD_NAME", "metadata.name"),
        from("POD_NAMESPACE", "metadata.namespace"),
        from("POD_UID", "metadata.uid"),
        json!({"name": "BLACKSTART_STATE_DIR", "value": format!("{data}/state")}),
        json!({"name": "HOME", "value": data}),
        json!({"name": "TMPDIR", "value": data}),
    ];
    all.extend(setting.variables.iter().map(|(name, value)| json!({"name": name, "value": value})));
    Value::Array(all)
}

fn from_secrets(setting: &Setting) -> Value {
    let one = |secret: &SecretUse| match secret {
        SecretUse::Variables(name) => Some(json!({"secretRef": {"name": name}})),
        SecretUse::Folder(..) => None,
    };
    setting.secrets.iter().filter_map(one).collect()
}

fn mounts(setting: &Setting) -> Value {
    let mut all = vec![
        json!({"name": "drill", "mountPath": setting.drill_folder(), "readOnly": true}),
        json!({"name": "data", "mountPath": format!("{}/data", setting.home)}),
    ];
    all.extend(setting.secrets.iter().enumerate().filter_map(|(n, secret)| match secret {
        SecretUse::Folder(_, path) => Some(json!({"name": format!("secret-{n}"), "mountPath": path, "readOnly": true})),
        SecretUse::Variables(_) => None,
    }));
    Value::Array(all)
}

fn volumes(setting: &Setting, files: &[File], part: &str) -> Value {
    let data = match &setting.claim {
        Some(claim) if part == "runner" => json!({"name": "data", "persistentVolumeClaim": {"claimName": claim}}),
        _ => json!({"name": "data", "emptyDir": Map::new()}),
    };
    let mut all = vec![files_volume(setting, files), data];
    all.extend(setting.secrets.iter().enumerate().filter_map(|(n, secret)| match secret {
        SecretUse::Folder(name, _) => {
            Some(json!({"name": format!("secret-{n}"), "secret": {"secretName": name, "defaultMode": 0o440}}))
        }
        SecretUse::Variables(_) => None,
    }));
    Value::Array(all)
}
