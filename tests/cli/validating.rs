//! `validate` and what `run` and `plan` refuse: wrong files, wrong environments, wrong configurations.

use crate::support::Place;

const GOOD: &str = r#"
drill: good
environment: embedded
staging: {embedded: {replication: async, port: 17500}}
targets: {store: {kv: {url: "http://127.0.0.1:17500"}}}
workload:
  orders:
    ledger: {target: store, rate: 50/s}
    service: {stable: 1s}
outage:
  - wait: 1s
"#;

#[test]
fn all_mistakes_of_all_files_come_at_once() {
    let place = Place::new();
    place.file("drills/good.yaml", GOOD);
    place.file("drills/one.yaml", &GOOD.replace("wait: 1s", "wait: 1").replace("rate: 50/s", "rat: 50/s"));
    place.file("drills/deep/two.yml", &GOOD.replace("outage", "outrage"));
    place.file("drills/notes.txt", "drill: no\n");
    let ended = place.run(&["validate", "drills"]).code(65);
    for wanted in
        ["drills/one.yaml:8:", "drills/one.yaml:11:", "drills/deep/two.yml:10:", "did you mean `outage`?", "^"]
    {
        assert!(ended.out.contains(wanted), "no {wanted} in\n{}", ended.out);
    }
    assert!(ended.out.contains("3 playbooks"), "{}", ended.out);
}

#[test]
fn diagnostics_are_there_for_programs_too() {
    let place = Place::new();
    place.file("one.yaml", &GOOD.replace("wait: 1s", "wait: 1"));
    let ended = place.run(&["validate", "one.yaml", "--output", "json"]).code(65);
    let said: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(said["diagnostics"][0]["file"], "one.yaml");
    assert_eq!(said["diagnostics"][0]["line"], 11);
    assert_eq!(said["diagnostics"][0]["severity"], "error");
}

#[test]
fn good_files_are_good() {
    let place = Place::new();
    place.file("good.yaml", GOOD);
    let ended = place.run(&["validate", "good.yaml"]).code(0);
    assert_eq!(ended.out, "1 playbook: 0 errors\n");
    assert!(ended.err.is_empty(), "{}", ended.err);
}

#[test]
fn a_file_that_is_not_there_is_wrong_usage() {
    let place = Place::new();
    assert!(place.run(&["validate", "none.yaml"]).code(64).err.contains("there is no file none.yaml"));
    assert!(place.run(&["validate", "*.yaml"]).code(64).err.contains("no file matches"));
    assert_eq!(place.run(&["validate"]).code, 64);
}

#[test]
fn an_environment_must_be_allowed_and_not_protected() {
    let place = Place::new();
    place.file("one.yaml", &GOOD.replace("environment: embedded", "environment: staging"));
    let refused = place.run(&["validate", "one.yaml"]).code(65);
    assert!(refused.out.contains("staging") && refused.out.contains("blackstart.yaml"), "{}", refused.out);
    place.file("blackstart.yaml", "environments: {staging: {protected: true}}\n");
    let refused = place.run(&["validate", "one.yaml"]).code(65);
    assert!(refused.out.contains("protected"), "{}", refused.out);
    place.file("blackstart.yaml", "environments: {staging: {}}\n");
    place.run(&["validate", "one.yaml"]).code(0);
}

#[test]
fn a_wrong_configuration_is_said_once() {
    let place = Place::new();
    place.file("blackstart.yaml", "environmints: {}\n");
    place.file("one.yaml", GOOD);
    place.file("two.yaml", &GOOD.replace("drill: good", "drill: two"));
    let ended = place.run(&["validate", "."]).code(65);
    assert_eq!(ended.out.matches("did you mean `environments`?").count(), 1, "{}", ended.out);
    let named = place.run(&["validate", "one.yaml", "--config", "none.yaml"]).code(64);
    assert!(named.err.contains("none.yaml"), "{}", named.err);
}

#[test]
fn parameters_are_checked() {
    let place = Place::new();
    place.file(
        "one.yaml",
        &GOOD
            .replace("rate: 50/s", "rate: \"${params.rate}\"")
            .replace("targets:", "params: {rate: {default: 50/s}}\ntargets:"),
    );
    place.run(&["validate", "one.yaml", "--param", "rate=100/s"]).code(0);
    place.run(&["validate", "one.yaml", "--param", "rate=fast"]).code(65);
    let unknown = place.run(&["validate", "one.yaml", "--param", "rat=1/s"]).code(65);
    assert!(unknown.out.contains("rat"), "{}", unknown.out);
    assert!(place.run(&["validate", "one.yaml", "--param", "rate"]).code(64).err.contains("NAME=VALUE"));
}

#[test]
fn garbage_is_refused_and_nothing_panics() {
    let place = Place::new();
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(b'b'..=b'j')
            .map(|c| {
                let (here, last) = (char::from(c), char::from(c - 1));
                format!("{here}: &{here} [*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last}]\n")
            })
            .collect::<String>();
    let cases =
        ["", "\u{0}\u{1}\u{2}", "[", "drill: [", "- a\n- b", "drill: x\ndrill: y\n", "42", &"[".repeat(100_000), &bomb];
    for (n, text) in cases.iter().enumerate() {
        let file = place.file(&format!("{n}.yaml"), text);
        let ended = place.run(&["validate", file.to_str().unwrap()]).code(65);
        assert!(!ended.err.contains("internal error"), "{}", ended.err);
    }
    std::fs::write(place.path().join("bytes.yaml"), b"drill: \xff\xfe\n").unwrap();
    place.run(&["validate", "bytes.yaml"]).code(65);
    std::fs::write(place.path().join("huge.yaml"), vec![b'#'; 5 << 20]).unwrap();
    assert!(place.run(&["validate", "huge.yaml"]).code(65).out.contains("larger than"));
}

#[test]
fn what_init_writes_validates() {
    for system in ["kv", "postgres", "http"] {
        let place = Place::new();
        let said = place.run(&["init", "--for", system, "mine.yaml"]).code(0);
        assert!(said.out.contains("wrote mine.yaml"), "{}", said.out);
        let ended = place.run(&["validate", "mine.yaml"]).code(0);
        assert_eq!(ended.out, "1 playbook: 0 errors\n", "{system}");
        assert!(place.run(&["init", "mine.yaml"]).code(64).err.contains("nothing is ever written over"));
    }
}

#[test]
fn init_can_print() {
    let place = Place::new();
    assert!(place.run(&["init", "-"]).code(0).out.contains("drill: my-first-drill"));
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none());
    assert!(place.run(&["init", "not/there.yaml"]).code(64).err.contains("a folder that exists"));
}

#[test]
fn a_plan_says_what_would_be_done_and_touches_nothing() {
    let place = Place::new();
    place.file("small.yaml", &crate::drill::text(17_600));
    let plan = place.run(&["plan", "small.yaml"]).code(0);
    for wanted in ["process_kill", "outage", "embedded key-value service on port 17600", "CAP_KILL", "primary"] {
        assert!(plan.out.contains(wanted), "no {wanted} in\n{}", plan.out);
    }
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["plan", "small.yaml", "--output", "json"]).code(0).out).unwrap();
    assert_eq!(json["plans"][0]["faults"][0]["kind"], "process_kill");
    assert!(place.run(&["plan", "small.yaml", "--permissions"]).code(0).out.contains("CAP_KILL"));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "a plan wrote something");
}

#[test]
fn a_plan_names_what_it_would_touch_now() {
    let place = Place::new();
    let victim = place.sleeper("victim.pid");
    let text = GOOD
        .replace("targets: {", "targets: {victim: {process: {pidfile: victim.pid}}, ")
        .replace("  - wait: 1s", "  - inject: {process_pause: {target: victim}}");
    let text = text.replace("staging: {embedded: {replication: async, port: 17500}}\n", "");
    place.file("one.yaml", &text);
    let plan = place.run(&["plan", "one.yaml"]).code(0);
    assert!(plan.out.contains(&victim.0.id().to_string()), "{}", plan.out);
    drop(victim);
    let plan = place.run(&["plan", "one.yaml"]).code(69);
    assert!(plan.err.contains("victim"), "{plan:?}");
}
