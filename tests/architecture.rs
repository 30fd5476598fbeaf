//! Holds the house rules: reads the sources and complains with path and line. Each rule has a source here that breaks
//! it, so that a rule that no longer sees anything is noticed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use rules::{Complaints, RULES, mentions};
use source::{Source, files, sources};
use std::path::Path;

fn complaints(sources: &[Source]) -> Complaints {
    sources
        .iter()
        .flat_map(|s| RULES.iter().flat_map(|(name, rule)| rule(s).into_iter().map(move |c| format!("{c} [{name}]"))))
        .collect()
}

#[test]
fn the_sources_keep_the_rules() {
    let all = ["src", "tests"].iter().flat_map(|folder| sources(folder)).collect::<Vec<_>>();
    assert!(all.len() > 40, "only {} sources found: is the test looking in the right place?", all.len());
    let found = complaints(&all);
    assert!(found.is_empty(), "{} complaints:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_rule_sees_what_breaks_it() {
    for (rule, path, text) in BROKEN {
        let (_, check) = RULES.iter().find(|(name, _)| name == rule).unwrap_or_else(|| panic!("no rule `{rule}`"));
        let found = check(&Source::new(path, text));
        assert!(!found.is_empty(), "rule `{rule}` does not see what is wrong with:\n{text}");
    }
    for (name, _) in RULES {
        assert!(
            BROKEN.iter().any(|(rule, _, _)| rule == name) || LONG.contains(name),
            "rule `{name}` has no negative test"
        );
    }
}

#[test]
fn sizes_are_seen() {
    let long_file = format!("//! x\n{}", "\n".repeat(701));
    let long_function = format!("//! x\nfn f() {{{}}}\n", "\n".repeat(71));
    assert_eq!(complaints(&[Source::new("src/model/x.rs", &long_file)]).len(), 1);
    assert_eq!(complaints(&[Source::new("src/model/x.rs", &long_function)]).len(), 1);
}

#[test]
fn a_good_source_breaks_no_rule() {
    let good = "//! Says hello. Talking back is elsewhere.\n\nuse crate::model::Mono;\n\n/// At `println!`.\npub fn f(at: Mono) -> bool {\n    at.0 > 0\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn f() {\n        Some(1).unwrap();\n    }\n}\n";
    assert_eq!(complaints(&[Source::new("src/event.rs", good)]), Vec::<String>::new());
}

#[test]
fn no_file_names_the_workplace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts: Vec<_> = ["drills", "reports/sample", "src/docs", ".ci", ".config", ".github"]
        .iter()
        .flat_map(|dir| files(&root.join(dir)))
        .collect();
    texts.extend(["README.md", "Cargo.toml"].map(|name| root.join(name)));
    let found: Complaints = texts
        .iter()
        .filter_map(|path| {
            Some((path.strip_prefix(root).ok()?.display().to_string(), std::fs::read_to_string(path).ok()?))
        })
        .flat_map(|(name, text)| mentions(&name, &text))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_top_level_is_fixed() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "src",
        "drills",
        "reports",
        "tests",
        "target",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let surplus: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && !allowed.contains(&name.as_str()))
        .collect();
    assert!(surplus.is_empty(), "at the top level: {surplus:?}");
}

/// Rules whose negative test is built, not written.
const LONG: &[&str] = &["size", "functions"];

/// Rule, path, and a source that breaks it.
const BROKEN: &[(&str, &str, &str)] = &[
    ("header", "src/model/x.rs", "// no header\n"),
    ("unfinished", "src/model/x.rs", concat!("//! x\n// TO", "DO: later\n")),
    ("unfinished", "src/model/x.rs", concat!("//! x\nfn f() { to", "do!() }\n")),
    ("lints", "src/model/x.rs", "//! x\n#[allow(dead_code)]\nfn f() {}\n"),
    ("lints", "src/model/x.rs", "//! x\n#[expect(dead_code)]\nfn f() {}\n"),
    ("unwrap", "src/model/x.rs", "//! x\nfn f() { g().unwrap() }\n"),
    ("unwrap", "src/model/x.rs", "//! x\nfn f() { panic!() }\n"),
    ("time", "src/exec/x.rs", "//! x\nfn f() { std::time::Instant::now(); }\n"),
    ("time", "src/cli/x.rs", "//! x\nfn f() { chrono::Utc::now(); }\n"),
    ("printing", "src/exec/x.rs", "//! x\nfn f() { println!() }\n"),
    ("printing", "src/report/x.rs", "//! x\nuse std::io::stdout;\nfn f() { std::io::stdout(); }\n"),
    ("clap", "src/exec/x.rs", "//! x\nuse clap::Parser;\n"),
    ("exits", "src/cli/x.rs", "//! x\nfn f() { std::process::exit(1) }\n"),
    ("clients", "src/exec/x.rs", "//! x\nuse tokio_postgres::Client;\n"),
    ("clients", "src/cli/x.rs", "//! x\nuse reqwest::Client;\n"),
    ("processes", "src/exec/x.rs", "//! x\nuse tokio::process::Command;\n"),
    ("purity", "src/playbook/x.rs", "//! x\nasync fn f() {}\n"),
    ("purity", "src/plan/x.rs", "//! x\nuse std::fs;\n"),
    ("purity", "src/analysis/x.rs", "//! x\nuse crate::clock::Clock;\n"),
    ("purity", "src/report/x.rs", "//! x\nuse tokio::sync::Mutex;\n"),
    ("imports", "src/analysis/x.rs", "//! x\nuse crate::exec::run;\n"),
    ("imports", "src/report/x.rs", "//! x\nuse crate::{model::Mono, journal};\n"),
    ("imports", "src/exec/x.rs", "//! x\nuse crate::report;\n"),
    ("imports", "src/model/x.rs", "//! x\nfn f() { crate::event::Event; }\n"),
    ("imports", "src/daemon/x.rs", "//! x\n fn f() {}\n"),
    ("untyped", "src/exec/x.rs", "//! x\nstruct S { f: HashMap<String, Value> }\n"),
    ("untyped", "src/playbook/x.rs", "//! x\n#[serde(untagged)]\nenum E {}\n"),
    ("bool", "src/exec/x.rs", "//! x\npub fn f(a: u8, force: bool) {}\n"),
    ("sleep", "src/exec/x.rs", "//! x\nfn f() { std::thread::sleep(d) }\n"),
    ("skipped", "tests/x.rs", "//! x\n#[ignore]\nfn f() {}\n"),
    ("workplace", "src/exec/x.rs", concat!("//! see ../", "shared/x\n")),
    ("workplace", "src/exec/x.rs", concat!("//! as issue", " 12 asks\n")),
];
