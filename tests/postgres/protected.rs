//! A database that says itself that no drill runs on it.

use crate::pair::Pair;
use std::process::{Command, Stdio};

const DRILL: &str = r#"
drill: protected
environment: staging
secrets: {password: {file: PASSWORD}}
targets:
  db: {postgres: {url: "postgresql://app:${secrets.password}@127.0.0.1:PORT/app"}}
  victim: {process: {pidfile: ./pid}}
baseline: 100ms
outage:
  - inject: {process_pause: {target: victim}}
"#;

#[test]
fn a_database_that_says_so_is_left_alone() {
    let pair = Pair::up(15700, &[]);
    let place = tempfile::Builder::new().prefix("blackstart-protected.").tempdir_in("/var/tmp").unwrap();
    let text = DRILL.replace("PASSWORD", pair.file("app.password").to_str().unwrap()).replace("PORT", "15721");
    std::fs::write(place.path().join("drill.yaml"), text).unwrap();
    std::fs::write(place.path().join("blackstart.yaml"), "environments: {staging: {}}\n").unwrap();
    let mut sleeper = Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().unwrap();
    std::fs::write(place.path().join("pid"), sleeper.id().to_string()).unwrap();
    let run = |id: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.args(["run", "drill.yaml", "--reports", "out", "--output", "plain", "--run-id", id]);
        command.current_dir(place.path()).env("BLACKSTART_STATE_DIR", place.path().join("state")).stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("before");
    assert_eq!(code, Some(0), "{said}");
    pair.psql(1, "postgres", "alter database app set blackstart.protected = 'on'");
    let (code, said) = run("after");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("target `db` says that it is protected"), "{said}");
}
