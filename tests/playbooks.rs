//! Every playbook under `tests/playbooks/ok` becomes a plan, and every one under `bad` is refused with exactly the
//! diagnostics that stand beside it. `BLESS=1` writes them anew.

use blackstart::config::Config;
use blackstart::plan::{self, Inputs};
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
