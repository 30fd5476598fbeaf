//! The jobs of the page about CI: their shell steps, taken from the page and run. What a CI gives is made by hand; `cargo` and
//! `gh` are doubles, and so is `blackstart run`, which puts a sealed run there after its command line was read by the real
//! program. Everything else is the built binary.

use crate::support::{Made, Place, ago, copy};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../src/docs/continuous_integration.md");

/// The YAML blocks of the page that are whole: a workflow, or a pipeline with its stages. The others are parts of one.
fn jobs() -> Vec<Value> {
    let blocks = PAGE.split("```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let read = |text| serde_yaml::from_str::<Value>(text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    blocks.map(read).filter(|block| block.get("jobs").or(block.get("stages")).is_some()).collect()
}

/// The shell steps of a job of GitHub's, with their environment.
fn steps(workflow: &Value, job: &str) -> Vec<(String, Vec<(String, String)>)> {
    let job = &workflow["jobs"][job];
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let map = value.as_object().into_iter().flatten();
        map.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    let step = |step: &Value| {
        let env = [pairs(&job["env"]), pairs(&step["env"])].concat();
        Some((step["run"].as_str()?.to_owned(), env))
    };
    job["steps"].as_array().unwrap().iter().filter_map(step).collect()
}

/// A workspace with the repository's drills, and programs of a CI.
struct Workspace {
    at: Place,
}

impl Workspace {
    /// `last` is the sealed run that `blackstart run` makes there.
    fn new(last: &Made) -> Self {
        let at = Place::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir(at.path().join("drills")).unwrap();
        for name in ["drills/quickstart.yaml", "drills/blackstart.yaml"] {
            if from.join(name).exists() {
                std::fs::copy(from.join(name), at.path().join(name)).unwrap();
            }
        }
        crate::support::seal(&last.write(&at.path().join("double")), None);
        let workspace = Self { at };
        workspace.program("cargo", "[ \"$1 $2\" = 'install --locked' ] || exit 64");
        workspace.program(
            "gh",
            "case \"$1 $2\" in\n'run list') echo 11; echo 22 ;;\n'run download') [ \"$3\" = 22 ] || exit 1; mkdir -p \"$7\" && cp -r \
             \"$WORKSPACE/reports/.\" \"$7\" ;;\n*) exit 64 ;;\nesac",
        );
        let real = env!("CARGO_BIN_EXE_blackstart");
        workspace.program(
            "blackstart",
            &format!(
                "[ \"$1\" = run ] || exec {real} \"$@\"\nsaid=$({real} \"$@\" --config /nowhere/blackstart.yaml 2>&1)\ncase $said in \
                 *'cannot read /nowhere'*) ;; *) echo \"$said\" >&2; exit 64 ;; esac\nmkdir -p \"$BLACKSTART_REPORTS\"\ncp -r \
                 \"$WORKSPACE/double/.\" \"$BLACKSTART_REPORTS\"",
            ),
        );
        workspace
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.at.file(&format!("bin/{name}"), &format!("#!/bin/bash\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a step as the CI does; its exit code and all that it said.
    fn step(&self, shell: &str, env: &[(String, String)]) -> (i32, String) {
        let here = self.at.path().display().to_string();
        let given = |text: &str| {
            let text = text.replace("${{ github.workspace }}", &here).replace("$CI_PROJECT_DIR", &here);
            text.replace("${{ secrets.DRILL_KEY }}", "the key").replace("${{ github.token }}", "token")
        };
        assert!(!given(shell).contains("${{"), "an expression that the test does not know: {shell}");
        let path = format!("{here}/bin:{}", std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-e", "-c", &given(shell)]).current_dir(&here).stdin(Stdio::null());
        command.env("PATH", path).env("WORKSPACE", &here).env("GITHUB_ACTIONS", "true").env("CI", "true");
        command.env("GITHUB_STEP_SUMMARY", format!("{here}/summary.md")).env("GITHUB_WORKSPACE", &here);
        command.env("GITHUB_ENV", format!("{here}/env")).env("RUNNER_TEMP", &here);
        let kept = std::fs::read_to_string(self.at.path().join("env")).unwrap_or_default();
        command.envs(kept.lines().filter_map(|line| line.split_once('=')));
        command.env_remove("BLACKSTART_HISTORY_URL");
        command.envs(env.iter().map(|(name, value)| (name, given(value))));
        let ended = command.output().unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.code().unwrap_or(-1), String::from_utf8(said).unwrap())
    }

    #[track_caller]
    fn all(&self, steps: &[(String, Vec<(String, String)>)]) -> String {
        let mut all = String::new();
        for (shell, env) in steps {
            let (code, said) = self.step(shell, env);
            assert_eq!(code, 0, "{shell}\n{said}");
            all.push_str(&said);
        }
        all
    }
}

fn passed(days: i64) -> Made {
    Made::new("quickstart", "20261120T000000Z-aaaaa", ago(days))
}

#[test]
fn the_jobs_of_github_drill_keep_the_evidence_and_gate() {
    let [drill, release, _] = jobs().try_into().unwrap();
    let workspace = Workspace::new(&passed(1));
    let said = workspace.all(&steps(&drill, "drill"));
    assert!(said.contains("quickstart") && said.contains("pass"), "{said}");
    let key = workspace.at.path().join("drill_key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(workspace.at.path().join("env")).unwrap();
    assert_eq!(kept, format!("BLACKSTART_SIGN_WITH={}\n", key.display()));
    let said = workspace.all(&steps(&release, "gate"));
    assert!(said.contains("good: 1 drill") && said.contains("run 11 left no evidence"), "{said}");
    let here = workspace.at.path();
    assert!(std::fs::read_to_string(here.join("summary.md")).unwrap().contains("good"));
    let json: Value = serde_json::from_slice(&std::fs::read(here.join("gate.json")).unwrap()).unwrap();
    assert_eq!((&json["exit_code"], &json["drills"][0]["drill"]), (&0.into(), &"quickstart".into()));

    // The same with evidence that is too old: the step fails, and its summary says why.
    let workspace = Workspace::new(&passed(100));
    workspace.all(&steps(&drill, "drill"));
    let gate = steps(&release, "gate");
    workspace.all(&gate[..2]);
    let (code, said) = workspace.step(&gate[2].0, &gate[2].1);
    assert!(code == 1 && said.contains("stale"), "{code} {said}");
    assert!(std::fs::read_to_string(workspace.at.path().join("summary.md")).unwrap().contains("stale"));
}

#[test]
fn the_jobs_of_gitlab_drill_and_gate() {
    let [_, _, file] = jobs().try_into().unwrap();
    let variables: Vec<(String, String)> = file["variables"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let scripts = |job: &str| {
        let parts = [&file["default"]["before_script"], &file[job]["script"], &file[job]["after_script"]];
        let lines = parts.into_iter().filter_map(Value::as_array).flatten();
        lines.map(|line| (line.as_str().unwrap().to_owned(), variables.clone())).collect::<Vec<_>>()
    };
    let workspace = Workspace::new(&passed(1));
    workspace.all(&scripts("drill"));
    assert!(workspace.all(&scripts("gate")).contains("good: 1 drill"));

    // A failed run after it: the gate does not let the release out.
    let later = passed(0).rto(11.0).verdict("fail", 1).named("20261121T000000Z-bbbbb").write(&workspace.at.reports());
    crate::support::seal(&later, None);
    let gate = scripts("gate");
    let (code, said) = workspace.step(&gate[1].0, &gate[1].1);
    assert!(code == 1 && said.contains("missed in the last run: rto of orders 11 s"), "{code} {said}");
    copy(&later, &workspace.at.path().join("kept"));
}
