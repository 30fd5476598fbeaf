//! Which objects of a Kubernetes cluster a drill may touch: the environment names their namespace, or a label on it says
//! so. Some namespaces are never touched, whoever says so.

use super::Drill;
use crate::config::Reach;
use crate::model::PinnedTarget;
use std::collections::BTreeSet;

/// What keeps a cluster alive.
const NEVER: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

impl Drill {
    /// May the objects of this target be touched?
    pub(super) fn clusters(&self, target: &PinnedTarget) -> Result<(), String> {
        let (name, field) =
            (&target.name, |name: &str| target.fields.get(name).map(String::as_str).unwrap_or_default());
        let kind = field("kind");
        let namespaces: BTreeSet<&str> = match kind {
            "namespace" => target.objects.iter().map(|object| object.name.as_str()).collect(),
            _ => target.objects.iter().filter_map(|object| object.namespace.as_deref()).collect(),
        };
        if let Some(never) = namespaces.iter().find(|namespace| NEVER.contains(namespace)) {
            return Err(format!(
                "target `{name}` is in `{never}`, where no drill touches anything; choose other objects"
            ));
        }
        if NEVER.contains(&field("home")) {
            let home = field("home");
            return Err(format!(
                "target `{name}`: the drill would keep its records in `{home}`, where it touches nothing; write `home: NAMESPACE`"
            ));
        }
        match field("label.blackstart") {
            "protected" => {
                return Err(format!(
                    "target `{name}`: {} is labelled blackstart=protected: no drill touches it",
                    places(kind, &namespaces)
                ));
            }
            "allowed" => return Ok(()),
            _ => {}
        }
        let mut entries = self.allowed.kubernetes.iter().filter(|entry| entry.is(field("context"), field("server")));
        let whole = match kind {
            _ if target.objects.iter().all(|object| object.namespace.is_some()) => None,
            "node" => Some(Reach::Nodes),
            _ => Some(Reach::Cluster),
        };
        let allowed = entries.any(|entry| match whole {
            Some(needed) => entry.reach >= needed,
            None => namespaces.iter().all(|namespace| entry.allows(namespace)),
        });
        if allowed || self.of_its_staging(target) {
            return Ok(());
        }
        Err(self.not_in_the_cluster(target, whole, &namespaces))
    }

    fn not_in_the_cluster(&self, target: &PinnedTarget, whole: Option<Reach>, namespaces: &BTreeSet<&str>) -> String {
        let field = |name: &str| target.fields.get(name).map(String::as_str).unwrap_or_default();
        let (environment, kind, server) = (&self.environment, field("kind"), field("server"));
        let cluster = match field("context") {
            "" => format!("server: \"{server}\""),
            context => format!("context: \"{context}\""),
        };
        let listed: Vec<&str> = namespaces.iter().copied().collect();
        let (part, label) = match whole {
            None => {
                let label = format!("kubectl label namespace {} blackstart=allowed", listed.join(" "));
                (format!("namespaces: [{}]", listed.join(", ")), label)
            }
            Some(reach) => {
                let reach = if reach == Reach::Nodes { "nodes" } else { "cluster" };
                (format!("reach: {reach}"), format!("kubectl label {kind} NAME blackstart=allowed"))
            }
        };
        format!(
            "target `{}` is {} of the cluster {server}, which the environment `{environment}` does not allow; write \
             `environments: {{{environment}: {{kubernetes: [{{{cluster}, {part}}}]}}}}` in blackstart.yaml, or label it: \
             `{label}`",
            target.name,
            if whole.is_some() { format!("a {kind}") } else { places(kind, namespaces) },
        )
    }
}

/// For people: `a pod in shop`.
fn places(kind: &str, namespaces: &BTreeSet<&str>) -> String {
    let listed: Vec<&str> = namespaces.iter().copied().collect();
    if listed.is_empty() { format!("a {kind}") } else { format!("a {kind} in {}", listed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::model::{ObjectRef, PinnedTarget};
    use crate::plan::{Inputs, Plan, compile};
    use crate::playbook::SourceText;
    use std::collections::BTreeMap;

    const CONFIG: &str = "environments:\n  test:\n    kubernetes:\n      - {context: \"staging-*\", namespaces: [\"shop*\"]}\n\
                          \x20     - {server: \"https://edge\", reach: nodes}\n";
    const DRILL: &str = "drill: d\nenvironment: test\nverify: [{check: {command: [\"true\"]}}]\n";

    fn plan() -> Plan {
        let config = Config::parse(SourceText::new("blackstart.yaml", CONFIG)).unwrap();
        let inputs = Inputs { params: &BTreeMap::new(), env: &|_| None, config: &config };
        compile(&SourceText::new("d.yaml", DRILL), &inputs).unwrap().remove(0)
    }

    fn found(context: &str, kind: &str, namespace: Option<&str>, more: &[(&str, &str)]) -> PinnedTarget {
        let of = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let mut fields: BTreeMap<String, String> =
            [("context", context), ("server", "https://edge"), ("kind", kind)].map(of).into();
        fields.extend(more.iter().copied().map(of));
        let object = ObjectRef {
            api: "v1".into(),
            kind: kind.into(),
            namespace: namespace.map(str::to_owned),
            name: "one".into(),
            uid: "u".into(),
            node: None,
            zone: None,
        };
        PinnedTarget {
            name: "x".into(),
            kind: "kubernetes".into(),
            objects: vec![object],
            fields,
            ..PinnedTarget::default()
        }
    }

    #[test]
    fn a_namespace_that_is_named_or_labelled_is_allowed() {
        let plan = plan();
        for target in [
            found("staging-a", "pod", Some("shop"), &[]),
            found("staging-a", "deployment", Some("shop-eu"), &[]),
            found("elsewhere", "pod", Some("other"), &[("label.blackstart", "allowed")]),
            found("elsewhere", "node", None, &[]),
        ] {
            assert_eq!(plan.allows(&target, &[]), Ok(()), "{target:?}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_to_write() {
        let plan = plan();
        let mut edge = found("staging-a", "node", None, &[]);
        edge.fields.insert("server".into(), "https://core".into());
        for (target, words) in [
            (found("prod", "pod", Some("shop"), &[]), "kubernetes: [{context: \"prod\", namespaces: [shop]}]"),
            (found("staging-a", "pod", Some("bank"), &[]), "kubectl label namespace bank blackstart=allowed"),
            (found("", "pod", Some("bank"), &[]), "{server: \"https://edge\", namespaces: [bank]}"),
            (edge, "reach: nodes"),
            (found("staging-a", "persistentvolume", None, &[]), "reach: cluster"),
        ] {
            let why = plan.allows(&target, &[]).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn what_keeps_a_cluster_alive_is_never_touched() {
        let plan = plan();
        let allowed = [("label.blackstart", "allowed")];
        for target in [
            found("staging-a", "pod", Some("kube-system"), &allowed),
            found("staging-a", "pod", Some("shop"), &[("home", "kube-public")]),
            found("staging-a", "pod", Some("shop"), &[("label.blackstart", "protected")]),
        ] {
            assert!(plan.allows(&target, &[]).is_err(), "{target:?}");
        }
        let mut itself = found("staging-a", "namespace", None, &allowed);
        itself.objects[0].name = "kube-node-lease".into();
        assert!(plan.allows(&itself, &[]).is_err());
    }
}
