//! Lines for `kubectl`: what a person can paste into a shell to heal by hand. No secret ever stands in one.

use super::{Held, Home, OWNER_LABEL, UNDO_ANNOTATION, mark};
use crate::adapters::kubernetes::Access;
use crate::faults::word;
use crate::model::ObjectRef;

/// `kubectl` with the way to a cluster, and the namespace.
#[must_use]
pub fn line(access: &Access, namespace: Option<&str>, arguments: &str) -> String {
    let mut line = "kubectl".to_owned();
    if let Some(path) = &access.kubeconfig {
        line += &format!(" --kubeconfig {}", word(&path.to_string_lossy()));
    }
    if let Some(context) = &access.context {
        line += &format!(" --context {}", word(context));
    }
    if let Some(namespace) = namespace {
        line += &format!(" -n {}", word(namespace));
    }
    format!("{line} {arguments}")
}

/// The same in an object's cluster and namespace.
#[must_use]
pub fn at(held: &Held, arguments: &str) -> String {
    line(&held.access, held.object.namespace.as_deref(), arguments)
}

/// An object as `kubectl` takes it: `deployments.apps/web`.
#[must_use]
pub fn name(held: &Held) -> String {
    let group = if held.kind.group.is_empty() { String::new() } else { format!(".{}", held.kind.group) };
    word(&format!("{}{group}/{}", held.kind.plural, held.object.name))
}

/// Takes our mark off an object.
#[must_use]
pub fn unmark(held: &Held) -> String {
    let name = name(held);
    let label = at(held, &format!("label {name} {OWNER_LABEL}-"));
    format!("{label}; {}", at(held, &format!("annotate {name} {UNDO_ANNOTATION}-")))
}

/// Removes the record of a fault from its cluster.
#[must_use]
pub fn forget(home: &Home, tag: &str) -> String {
    line(&home.access, Some(&home.namespace), &format!("delete configmap {} --ignore-not-found", mark::record(tag)))
}

/// What was touched, for people: `deployment shop/web (uid 1234…)`.
#[must_use]
pub fn shown(object: &ObjectRef) -> String {
    format!("{object} (uid {})", object.uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::kubernetes::Kind;

    #[test]
    fn lines_can_be_pasted() {
        let kind = Kind::known("deployment").expect("known");
        let object = ObjectRef {
            api: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "web".to_owned(),
            uid: "u1".to_owned(),
            node: None,
            zone: None,
        };
        let access = Access { kubeconfig: Some("/etc/a b".into()), context: Some("east".to_owned()) };
        let held = Held { access, kind, object };
        let said = at(&held, &format!("scale {} --replicas=3", name(&held)));
        assert_eq!(
            said,
            "kubectl --kubeconfig '/etc/a b' --context east -n shop scale deployments.apps/web --replicas=3"
        );
        assert_eq!(line(&Access::default(), None, "get nodes"), "kubectl get nodes");
    }
}
