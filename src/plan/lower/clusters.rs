//! Targets in Kubernetes clusters: what can be known to be wrong before any cluster is asked, shown where it stands.

use super::Cx;
use crate::model::{KubernetesTarget, Template, selector};
use crate::playbook::tree::Node;

/// What to write in place of something wrong.
type Check = fn(&str) -> Result<(), String>;

pub(super) fn target(cx: &Cx<'_>, target: &KubernetesTarget, node: &Node) {
    let which = [&target.name, &target.labels, &target.fields, &target.owner, &target.zone, &target.region];
    if which.iter().all(|given| given.is_none()) {
        let help = "add one of `name`, `labels`, `fields`, `owner`, `zone` and `region`, like `labels: app=web`";
        cx.wrong(node.region, "nothing says which objects are meant", help);
    }
    if target.name.is_some() && (target.labels.is_some() || target.owner.is_some()) {
        let help = "keep `name` alone, or take it out";
        cx.wrong(node.region, "a name says already which object is meant", help);
    }
    let checks: [(&str, &Option<Template>, Check, &str); 8] = [
        ("name", &target.name, selector::name, "write the name as `kubectl get` shows it"),
        ("namespace", &target.namespace, selector::namespace, "write it as `kubectl get namespaces` shows it"),
        ("home", &target.home, selector::namespace, "write it as `kubectl get namespaces` shows it"),
        ("labels", &target.labels, selector::labels, "write it like `app=web,tier in (front,back),!legacy`"),
        ("fields", &target.fields, selector::fields, "write it like `status.phase=Running,spec.nodeName!=node-1`"),
        ("owner", &target.owner, owner, "write it like `deployment/web`"),
        ("zone", &target.zone, filled, "write the value of the label topology.kubernetes.io/zone"),
        ("region", &target.region, filled, "write the value of the label topology.kubernetes.io/region"),
    ];
    for (key, given, check, help) in checks {
        // What a reference stands for is known when it runs.
        let Some(text) = given.as_ref().and_then(Template::as_literal) else { continue };
        if let Err(why) = check(&text) {
            cx.wrong(node.get(key).map_or(node.region, |node| node.region), format!("`{key}`: {why}"), help);
        }
    }
}

fn owner(text: &str) -> Result<(), String> {
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() => selector::name(name),
        _ => Err(format!("`{text}` does not say kind and name")),
    }
}

fn filled(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("there is nothing in it".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::plan::{Inputs, compile};
    use crate::playbook::{RenderStyle, SourceText, render_all};
    use std::collections::BTreeMap;

    fn said(target: &str) -> String {
        let text = format!(
            "drill: d\nenvironment: embedded\ntargets:\n  web:\n    kubernetes: {{{target}}}\nverify: [{{check: {{command: [\"true\"]}}}}]\n"
        );
        let config = Config::default();
        let inputs = Inputs { params: &BTreeMap::new(), env: &|_| None, config: &config };
        match compile(&SourceText::new("d.yaml", &text), &inputs) {
            Ok(_) => String::new(),
            Err(wrong) => render_all(&wrong, RenderStyle::Plain),
        }
    }

    #[test]
    fn what_is_written_wrongly_is_shown_where_it_stands() {
        for (target, place, words) in [
            ("kind: pod", "d.yaml:5", "nothing says which objects are meant"),
            ("labels: \"app in web\"", "d.yaml:5:", "app=web,tier in"),
            ("name: Web_1", "d.yaml:5:", "can name nothing"),
            ("namespace: a.b, name: web", "d.yaml:5:", "can name no namespace"),
            ("fields: phase", "d.yaml:5:", "compares nothing"),
            ("owner: web", "d.yaml:5:", "deployment/web"),
            ("name: web, labels: app=web", "d.yaml:5", "a name says already"),
            ("zone: \" \"", "d.yaml:5:", "nothing in it"),
        ] {
            let said = said(target);
            assert!(said.contains(place) && said.contains(words), "{target}: {said}");
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for target in [
            "kind: deployment, name: web, namespace: shop",
            "labels: \"app=web,tier in (front,back)\", zone: eu-1",
            "owner: deployment/web",
            "kind: node, region: eu",
        ] {
            assert_eq!(said(target), "", "{target}");
        }
    }
}
