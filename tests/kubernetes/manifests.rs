//! What `schedule --emit k8s` prints, and the manifests in `src/deploy/kubernetes`, which are the same: they are what this program
//! makes for the drill beside them, hold against the schemas of a current API server, and fit together by kustomize.
//! `BLESS=1` writes them anew.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The schemas that the objects are held against.
const VERSIONS: [&str; 2] = ["1.27", "1.37"];
const PYTHON: &str = "/var/cache/blackstart-tests/validate/bin/python3";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deploy/kubernetes")
}

/// Standard output and standard error of `blackstart schedule` for the drill of the manifests.
fn schedule(more: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.args(["schedule", "drill.yaml", "--emit", "k8s", "--image", "registry.example.com/blackstart:1"]);
    let done = command.args(more).current_dir(folder()).env("COLUMNS", "100").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (done.status.code().unwrap(), text(&done.stdout), text(&done.stderr))
}

const MONDAYS: [&str; 4] = ["--cron", "0 3 * * 1", "--time-zone", "Europe/Berlin"];

fn objects(yaml: &str) -> Vec<Value> {
    let parts = yaml.split("---\n").filter(|part| !part.is_empty());
    parts.map(|part| serde_yaml::from_str(part).unwrap_or_else(|e| panic!("{e}\n{part}"))).collect()
}

/// The Job that a CronJob makes.
fn job(cron_job: &Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": cron_job["metadata"],
        "spec": cron_job["spec"]["jobTemplate"]["spec"]})
}

fn manifests() -> Vec<(&'static str, Vec<Value>)> {
    let all = objects(&schedule(&MONDAYS).1);
    let alone = objects(&schedule(&[MONDAYS.as_slice(), &["--one-node"]].concat()).1);
    let of = |all: &[Value], kinds: &[&str]| -> Vec<Value> {
        all.iter().filter(|object| kinds.contains(&object["kind"].as_str().unwrap())).cloned().collect()
    };
    let jobs = |all: &[Value]| of(all, &["CronJob"]).iter().map(job).collect::<Vec<_>>();
    vec![
        ("base/account.yaml", of(&all, &["ServiceAccount", "Role", "RoleBinding"])),
        ("base/files.yaml", of(&all, &["ConfigMap"])),
        ("base/leases.yaml", of(&all, &["Lease"])),
        ("overlays/once/jobs.yaml", jobs(&all)),
        ("overlays/one-node/jobs.yaml", jobs(&alone)),
        ("overlays/scheduled/cron-jobs.yaml", of(&all, &["CronJob"])),
    ]
}

#[test]
fn the_manifests_are_what_this_program_makes() {
    for (name, objects) in manifests() {
        let (path, text) = (folder().join(name), blackstart::inside::documents(&objects));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(there, text, "{name} is not what the program makes; BLESS=1 writes it");
    }
}

#[test]
fn the_manifests_hold_against_current_schemas() {
    let script = "import sys, yaml, kubernetes_validate as k\n\
        for version in sys.argv[1].split(','):\n\
        \x20for path in sys.argv[2:]:\n\
        \x20 for one in yaml.safe_load_all(open(path)):\n\
        \x20  k.validate(one, version, strict=True)\n\
        \x20  print(version, one['kind'])\n";
    let mut files: Vec<PathBuf> = manifests().iter().map(|(name, _)| folder().join(name)).collect();
    files.push(folder().join("base/namespace.yaml"));
    let done = Command::new(PYTHON).args(["-c", script, &VERSIONS.join(",")]).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(said.matches("CronJob").count(), 2 * VERSIONS.len(), "{said}");
}

/// Debian's kubectl has a kustomize that calls folders `bases`.
#[test]
fn the_overlays_fit_together() {
    let copy = tempfile::tempdir().unwrap();
    for overlay in ["base", "overlays/once", "overlays/one-node", "overlays/scheduled"] {
        std::fs::create_dir_all(copy.path().join(overlay)).unwrap();
        for file in std::fs::read_dir(folder().join(overlay)).unwrap() {
            let file = file.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            let text = text.replace("resources:\n  - ../../base\n", "bases:\n  - ../../base\nresources:\n");
            std::fs::write(copy.path().join(overlay).join(file.file_name()), text).unwrap();
        }
    }
    for (overlay, kind, count) in [("once", "Job", 2), ("one-node", "Job", 2), ("scheduled", "CronJob", 2)] {
        let done =
            Command::new("kubectl").arg("kustomize").arg(copy.path().join("overlays").join(overlay)).output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let kinds = text.lines().filter(|line| *line == format!("kind: {kind}"));
        assert_eq!(kinds.count(), count, "{text}");
        assert!(text.contains("kind: Namespace") && text.contains("kind: Lease"), "{text}");
    }
}

#[test]
fn a_schedule_says_when_it_comes_and_what_cannot_be() {
    let (code, yaml, said) = schedule(&MONDAYS);
    assert_eq!(code, 0, "{said}");
    assert!(yaml.starts_with("---\n") && said.matches("Mon 20").count() == 3 && said.contains("03:00 CE"), "{said}");
    let refused = |more: &[&str]| {
        let (code, yaml, said) = schedule(more);
        assert!(code != 0 && yaml.is_empty(), "{said}");
        (code, said)
    };
    let (code, said) = refused(&["--cron", "5/5 * * * *"]);
    assert!(code == 64 && said.contains("`5/5 * * * *` is no cron expression"), "{said}");
    let (code, said) = refused(&["--cron", "0 3 * * 1", "--time-zone", "Berlin"]);
    assert!(code == 64 && said.contains("--time-zone Europe/Berlin"), "{said}");
    let (code, said) = refused(&[MONDAYS.as_slice(), &["--kube-version", "1.24"]].concat());
    assert!(code == 69 && said.contains("1.27") && said.contains("drop it without a word"), "{said}");
    let (_, _, said) = schedule(&[MONDAYS.as_slice(), &["--kube-version", "1.26"]].concat());
    assert!(said.contains("beta"), "{said}");
}
