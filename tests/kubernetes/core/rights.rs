//! The minimal Role: what `plan --permissions` prints is enough, and with one right less a run fails in preflight by name.

use super::Bench;
use crate::double::Rule;
use serde_json::Value;

fn printed(bench: &Bench) -> String {
    bench.place.run(&["plan", "d.yaml", "--permissions", "--output", "plain"]).code(0).out
}

fn objects(text: &str) -> Vec<Value> {
    let documents = text.split("---\n").map(|part| {
        part.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect::<String>()
    });
    documents.filter(|part| !part.trim().is_empty()).map(|part| serde_yaml::from_str(&part).unwrap()).collect()
}

/// One rule for each right.
fn rules(objects: &[Value]) -> Vec<Rule> {
    let mut rules = Vec::new();
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    for role in objects.iter().filter(|object| ["Role", "ClusterRole"].contains(&object["kind"].as_str().unwrap())) {
        let namespace = role["metadata"]["namespace"].as_str();
        for rule in role["rules"].as_array().unwrap() {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    let groups = words(&rule["apiGroups"]);
                    let one = Rule::of(namespace.unwrap_or("*"), &groups[0], &resource, &verb);
                    rules.push(Rule { names: words(&rule["resourceNames"]), ..one });
                }
            }
        }
    }
    rules
}

#[test]
fn the_printed_role_is_enough() {
    let bench = Bench::new("100ms");
    let text = printed(&bench);
    assert_eq!(text, printed(&bench), "the same each time");
    for object in objects(&text) {
        bench.double.object(object);
    }
    let account = "system:serviceaccount:shop:blackstart";
    bench.double.user(account, Vec::new());
    bench.drill("d.yaml", &bench.double.kubeconfig_of(account), "100ms");
    bench.run().code(0);
    let refused: Vec<_> =
        bench.double.requests().into_iter().filter(|r| r.user == account && r.status == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(bench.ours(), Vec::<String>::new());
}

#[test]
fn one_right_less_fails_in_preflight_with_its_name() {
    let bench = Bench::new("100ms");
    let rules = rules(&objects(&printed(&bench)));
    assert!(rules.len() >= 10, "{rules:?}");
    for (number, missing) in rules.iter().enumerate() {
        let user = format!("user{number}");
        let rest = rules.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, rule)| rule.clone());
        bench.double.user(&user, rest.collect());
        bench.drill(&format!("{user}.yaml"), &bench.double.kubeconfig_of(&user), "100ms");
        let (verb, resource) = (&missing.verbs[0], missing.resources[0].split('/').next().unwrap());
        let words = format!("may not {verb} {resource}");
        let ended = bench.place.run(&["run", &format!("{user}.yaml"), "--reports", "out", "--output", "plain"]);
        assert_eq!(ended.code, 69, "without {missing:?}: {}\n{}", ended.out, ended.err);
        assert!(ended.err.contains(&words), "{words}: {}", ended.err);
    }
    let changed = bench.double.requests().into_iter().filter(|r| r.user.starts_with("user"));
    let changes = ["create", "patch", "delete", "update"];
    let changed: Vec<_> =
        changed.filter(|r| changes.contains(&r.verb.as_str()) && !r.resource.starts_with("self")).collect();
    assert!(changed.is_empty(), "nothing was touched: {changed:?}");
}
