//! Every playbook under `tests/playbooks/ok` becomes a plan, and every one under `bad` is refused with exactly the
//! diagnostics that stand beside it. `BLESS=1` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use blackstart::config::Config;
use blackstart::model::{PinnedTarget, ProcessIdentity};
use blackstart::plan::{self, Inputs, Plan};
use blackstart::playbook::{self, Diagnostic, RenderStyle, SourceText};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playbooks").join(name)
}

fn config() -> Config {
    let text = std::fs::read_to_string(folder("blackstart.yaml")).unwrap();
    Config::parse(SourceText::new("blackstart.yaml", text)).unwrap()
}

fn env(name: &str) -> Option<String> {
    (name == "GREETING").then(|| "hello".to_owned())
}

/// Playbooks of a folder, by name; what begins with `_` is included by others.
fn files(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .filter(|p| !p.file_name().unwrap().to_string_lossy().starts_with('_'))
        .collect();
    files.sort();
    files
}

/// Plans, and everything that is said about a file.
fn read(path: &Path) -> (usize, Vec<Diagnostic>) {
    let bytes = std::fs::read(path).unwrap();
    let source = SourceText::from_bytes(path.file_name().unwrap(), &bytes);
    let beside =
        |name: &Path| std::fs::read(path.parent().unwrap().join(name)).map_err(|_| "there is no such file".to_owned());
    let (asts, mut said) = playbook::load(&[source], &beside);
    let params = BTreeMap::new();
    let config = config();
    let inputs = Inputs { params: &params, env: &env, config: &config };
    let mut plans = 0;
    for ast in &asts {
        match plan::lower(ast, &inputs) {
            Ok(found) => {
                plans += found.len();
                said.extend(found.first().into_iter().flat_map(|p| p.warnings.clone()));
            }
            Err(more) => said.extend(more),
        }
    }
    (plans, said)
}

#[test]
fn good_playbooks_become_plans() {
    for path in files("ok") {
        let (plans, said) = read(&path);
        let said = playbook::render_all(&said, RenderStyle::Plain);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!said.contains("error:"), "{name}:\n{said}");
        assert!(plans > 0 || name.starts_with("game-day"), "{name} makes no plan");
    }
}

fn plans(name: &str) -> Vec<Plan> {
    let path = folder("ok").join(name);
    let source = SourceText::new(name, std::fs::read_to_string(path).unwrap());
    let beside = |name: &Path| std::fs::read(folder("ok").join(name)).map_err(|e| e.to_string());
    let (asts, said) = playbook::load(&[source], &beside);
    assert_eq!(playbook::render_all(&said, RenderStyle::Plain), "");
    let (params, config) = (BTreeMap::new(), config());
    plan::lower(&asts[0], &Inputs { params: &params, env: &env, config: &config }).unwrap()
}

#[test]
fn plans_are_explained() {
    let leader = PinnedTarget {
        name: "leader".to_owned(),
        kind: "process".to_owned(),
        processes: vec![ProcessIdentity { pid: 4711, started: 1, boot: "b".to_owned(), name: "postgres".to_owned() }],
        ..PinnedTarget::default()
    };
    let resolved = BTreeMap::from([
        ("leader".to_owned(), Ok(leader)),
        ("db".to_owned(), Err("nobody listens on 127.0.0.1:15000".to_owned())),
    ]);
    let said: String = ["patroni.yaml", "everything.yaml", "fingerprints.yaml", "sites.yaml"]
        .iter()
        .map(|name| plan::explain(&plans(name)[0], &resolved).text() + "\n")
        .collect();
    let golden = folder("ok").join("plans.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&golden).unwrap_or_default(), said);
}

#[test]
fn a_resolved_playbook_makes_the_same_plan() {
    for name in ["patroni.yaml", "embedded.yaml", "everything.yaml", "styles.yaml"] {
        for plan in plans(name) {
            let source = SourceText::new(name, plan.source.resolved.clone());
            let (params, config) = (BTreeMap::new(), config());
            let again = plan::compile(&source, &Inputs { params: &params, env: &|_| None, config: &config });
            let again = again.map_err(|said| playbook::render_all(&said, RenderStyle::Plain)).unwrap();
            assert_eq!(again.len(), 1, "{name}: a resolved playbook has no matrix");
            assert_eq!(again[0].source.resolved, plan.source.resolved, "{name}");
            assert_eq!((&again[0].objectives, &again[0].params), (&plan.objectives, &plan.params), "{name}");
            assert_eq!(
                format!("{:?}", again[0].workloads.iter().map(|w| &w.spec).collect::<Vec<_>>()),
                format!("{:?}", plan.workloads.iter().map(|w| &w.spec).collect::<Vec<_>>())
            );
            let ids = |p: &Plan| p.verify.iter().map(|s| (s.id.clone(), s.verb.clone())).collect::<Vec<_>>();
            assert_eq!(ids(&again[0]), ids(&plan), "{name}");
        }
    }
}

#[test]
fn a_matrix_runs_every_combination_once() {
    let all: Vec<(String, String)> =
        plans("everything.yaml").iter().map(|p| (p.params["mode"].clone(), p.params["count"].clone())).collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(sorted, [pair("async", "1"), pair("async", "2"), pair("sync", "1"), pair("sync", "2")]);
}

#[test]
fn every_drill_that_comes_along_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills");
    let config = std::fs::read(root.join("blackstart.yaml")).unwrap();
    let config = Config::parse(SourceText::from_bytes("drills/blackstart.yaml", &config)).unwrap();
    let (mut open, mut seen) = (vec![root], 0);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                // What stagings are made of are no drills.
                open.extend(Some(entry).filter(|folder| !folder.ends_with("staging")));
            } else if entry.extension().is_some_and(|e| e == "yaml") {
                let source = SourceText::from_bytes(&entry, &std::fs::read(&entry).unwrap());
                let read = |path: &Path| std::fs::read(path).map_err(|e| e.to_string());
                let (asts, mut said) = playbook::load(&[source], &read);
                let params = BTreeMap::new();
                let inputs = Inputs { params: &params, env: &|_| None, config: &config };
                said.extend(asts.iter().filter_map(|ast| plan::lower(ast, &inputs).err()).flatten());
                assert_eq!(playbook::render_all(&said, RenderStyle::Plain), "");
                seen += 1;
            }
        }
    }
    assert!(seen > 3);
}

#[test]
fn bad_playbooks_are_explained() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for path in files("bad") {
        seen += 1;
        let (_, said) = read(&path);
        assert!(!said.is_empty(), "{} is accepted", path.display());
        for one in said.iter().filter(|d| d.help.is_empty()) {
            wrong.push(format!("no help: {}", one.render(RenderStyle::Plain)));
        }
        let said = playbook::render_all(&said, RenderStyle::Plain);
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        if wanted != said {
            wrong.push(format!("{}: expected\n{wanted}\nbut it says\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\n`BLESS=1 cargo test --test playbooks` accepts this", wrong.join("\n"));
    assert!(seen > 0);
}

fn schema() -> jsonschema::Validator {
    jsonschema::validator_for(&playbook::schema()).unwrap()
}

fn as_json(path: &Path) -> Option<serde_json::Value> {
    serde_yaml::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

#[test]
fn editors_accept_good_playbooks() {
    let schema = schema();
    for path in files("ok") {
        let value = as_json(&path).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path)).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
    }
}

#[test]
fn editors_refuse_what_has_the_wrong_shape() {
    let schema = schema();
    for name in ["step-unknown-key", "top-level-unknown-key", "step-two-verbs", "kind-unknown", "unit-missing"] {
        let value = as_json(&folder("bad").join(format!("{name}.yaml"))).unwrap();
        assert!(!schema.is_valid(&value), "{name} is valid");
    }
}

#[test]
fn a_host_that_only_the_run_knows_is_judged_then() {
    let plan = &plans("everything.yaml")[0];
    let target = |host: &str| PinnedTarget {
        name: "db".to_owned(),
        kind: "postgres".to_owned(),
        fields: BTreeMap::from([("host".to_owned(), host.to_owned())]),
        ..PinnedTarget::default()
    };
    for host in ["127.0.0.1", "::1", "localhost", "db1.staging.example.com", "localhost:5432,127.0.0.1", ""] {
        assert_eq!(plan.allows(&target(host), &[]), Ok(()), "{host}");
    }
    for host in ["db.example.com", "10.0.0.1", "localhost,db.example.com", "db1.staging.example.com:1,evil:5432"] {
        assert!(plan.allows(&target(host), &[]).is_err(), "{host}");
    }
}
