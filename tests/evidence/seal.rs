//! Sealing, with the built binary and with stock tools: `sha256sum`, `ssh-keygen`, `ssh-agent`, `openssl`. What is tampered
//! with afterwards is another file's business.

use crate::common::{output, until};
use crate::server::{SECRET, Server};
use crate::support;
use crate::tsa::Authority;
use blackstart::adapters::World;
use blackstart::adapters::chain::{Keep, Swapped};
use blackstart::adapters::data::Bucket;
use blackstart::clock::Clock;
use blackstart::event::{Event, What};
use blackstart::evidence::manifest::Manifest;
use blackstart::evidence::seal::{self, Order, SealError, Sealed, Standing};
use blackstart::evidence::signature::{self, SignatureError, Signer};
use blackstart::journal::{self, Journal};
use blackstart::model::Addressing;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Ended, Place};
use tempfile::TempDir;

const DRILL: &str = r#"
drill: mini
environment: test
baseline: 50ms
targets:
  victim: {process: {pidfile: PID}}
outage:
  - {id: frozen, inject: {process_pause: {target: victim}}, deadline: 1m}
"#;
const LONG: &str = "failover:\n  - {id: long, wait: 60s}\n";
const WHO: &str = "team@example.org";

/// A place with a drill of half a second.
fn place() -> Place {
    let place = Place::new();
    place.file("blackstart.yaml", "environments:\n  test: {hosts: [127.0.0.1]}\n");
    place.file("mini.yaml", &DRILL.replace("PID", "pid"));
    place
}

fn key(folder: &Path, name: &str, kind: &[&str], passphrase: &str) -> PathBuf {
    let path = folder.join(name);
    output(Command::new("ssh-keygen").args(["-q", "-C", "", "-N", passphrase, "-f"]).arg(&path).args(kind));
    path
}

/// What ssh-keygen calls a key.
fn called(key: &Path) -> String {
    output(Command::new("ssh-keygen").arg("-lf").arg(key)).split(' ').nth(1).unwrap().to_owned()
}

/// The real tools, as `VERIFY.md` names them.
fn good_by_stock_tools(run: &Path, key: &Path) {
    assert_eq!(
        output(Command::new("sha256sum").args(["--quiet", "--strict", "-c", "SHA256SUMS"]).current_dir(run)),
        ""
    );
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let allowed = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(allowed.path(), format!("{WHO} namespaces=\"drill-evidence\" {public}")).unwrap();
    let mut verify = Command::new("ssh-keygen");
    verify.args(["-Y", "verify", "-I", WHO, "-n", "drill-evidence", "-s", "SHA256SUMS.sig", "-f"]).arg(allowed.path());
    verify.current_dir(run).stdin(std::fs::File::open(run.join("SHA256SUMS")).unwrap());
    let said = verify.output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.contains("Good \"drill-evidence\" signature"), "{text}");
}

fn manifest(run: &Path) -> (Manifest, String) {
    let bytes = std::fs::read(run.join("MANIFEST.json")).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), journal::digest(&bytes))
}

/// The runs of a place by their place in the chain.
fn runs(place: &Place) -> BTreeMap<u64, PathBuf> {
    let folders = std::fs::read_dir(place.path().join("reports/mini")).unwrap().map(|entry| entry.unwrap().path());
    folders.map(|run| (manifest(&run).0.chain.unwrap().counter, run)).collect()
}

fn head(place: &Place) -> serde_json::Value {
    let mut heads = std::fs::read_dir(place.path().join("state/chain")).unwrap().flatten();
    let head = heads.find(|entry| entry.path().extension().is_some_and(|ext| ext == "json")).unwrap();
    serde_json::from_slice(&std::fs::read(head.path()).unwrap()).unwrap()
}

fn kept(place: &Place) -> usize {
    std::fs::read_dir(place.path().join("state/sealing")).unwrap().count()
}

/// The committed sample, in a folder of its own.
fn sample() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir_all(run.join("ops")).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample");
    for below in ["", "ops"] {
        for entry in std::fs::read_dir(from.join(below)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), run.join(below).join(entry.file_name())).unwrap();
        }
    }
    (folder, run)
}

async fn sealed(run: &Path, signer: Result<&Signer, String>) -> Result<Sealed, SealError> {
    // As whoever makes the statement gives it; `{"a":1}` stands for one.
    let envelope = r#"{"payload":"eyJhIjoxfQ==","payloadType":"application/vnd.in-toto+json","signatures":[]}"#;
    let statement = |_: &str| Some(format!("{envelope}\n"));
    seal::seal(&Order { dir: run, exit_code: 0, signer, statement: &statement }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_sign_and_stock_tools_agree() {
    let keys = tempfile::tempdir().unwrap();
    for (name, kind, here) in [
        ("ed25519", &["-t", "ed25519"][..], true),
        ("p256", &["-t", "ecdsa", "-b", "256"], true),
        ("p384", &["-t", "ecdsa", "-b", "384"], true),
        ("p521", &["-t", "ecdsa", "-b", "521"], false),
        ("rsa", &["-t", "rsa", "-b", "2048"], false),
        ("old", &["-t", "rsa", "-b", "2048", "-m", "PEM"], false),
    ] {
        let (key, (_folder, run)) = (key(keys.path(), name, kind, ""), sample());
        let signer = Signer::open(&key, &World::system().commands).await.unwrap();
        assert_eq!(signer.fingerprint(), called(&key), "{name}");
        let done = sealed(&run, Ok(&signer)).await.unwrap();
        assert_eq!(done.signed.as_ref(), Ok(&called(&key)), "{name}");
        good_by_stock_tools(&run, &key);
        let sums = std::fs::read(run.join("SHA256SUMS")).unwrap();
        let signature = std::fs::read(run.join("SHA256SUMS.sig")).unwrap();
        match signature::checked(&sums, &signature) {
            Err(SignatureError::Unsupported(_)) if name == "p521" => {}
            by => {
                assert_eq!(signature::fingerprint(&by.unwrap()), called(&key), "{name}");
                assert_eq!(signature::checked(&sums[1..], &signature), Err(SignatureError::Wrong), "{name}");
            }
        }
        let statement = std::fs::read_to_string(run.join("attestation.intoto.jsonl")).unwrap();
        assert_eq!(statement.contains(&format!("\"keyid\":\"{}\"", called(&key))), here, "{name}: {statement}");
    }
}

/// The signature in the envelope is one that OpenSSL checks, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_statement_is_signed_with_the_same_key() {
    let (_folder, run) = sample();
    let key = key(run.parent().unwrap(), "p256", &["-t", "ecdsa", "-b", "256"], "");
    let signer = Signer::open(&key, &World::system().commands).await.unwrap();
    sealed(&run, Ok(&signer)).await.unwrap();
    let line = std::fs::read_to_string(run.join("attestation.intoto.jsonl")).unwrap();
    let envelope: serde_json::Value = serde_json::from_str(&line).unwrap();
    let at = |name: &str| run.parent().unwrap().join(name);
    let decode = |text: &str| {
        std::fs::write(at("b64"), text).unwrap();
        Command::new("base64").arg("-d").arg(at("b64")).output().unwrap().stdout
    };
    std::fs::write(at("sig"), decode(envelope["signatures"][0]["sig"].as_str().unwrap())).unwrap();
    let payload = decode(envelope["payload"].as_str().unwrap());
    let signed = [b"DSSEv1 28 application/vnd.in-toto+json 7 ", payload.as_slice()].concat();
    std::fs::write(at("signed"), signed).unwrap();
    let public = output(Command::new("ssh-keygen").args(["-e", "-m", "PKCS8", "-f"]).arg(&key));
    std::fs::write(at("public"), public + "\n").unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-verify"]).arg(at("public")).arg("-signature").arg(at("sig")).arg(at("signed"));
    assert_eq!(output(&mut openssl), "Verified OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_sealed_once_and_again_only_when_its_record_grew() {
    let (_folder, run) = sample();
    let nobody = || Err("no key".to_owned());
    std::fs::write(run.join("odd \\ na\nme"), "x").unwrap();
    std::fs::write(run.join("MANIFEST.json.new"), "of one who died while sealing").unwrap();
    let whole = std::fs::read(run.join("journal.jsonl")).unwrap();
    let end = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    std::fs::write(run.join("journal.jsonl"), &whole[..end]).unwrap();
    let first = sealed(&run, nobody()).await.unwrap();
    assert_eq!(first.signed, Err("no key".to_owned()));
    assert!(!run.join("SHA256SUMS.sig").exists() && !run.join("MANIFEST.json.new").exists());
    output(Command::new("sha256sum").args(["--quiet", "--strict", "-c", "SHA256SUMS"]).current_dir(&run));
    assert_eq!(seal::standing(&run).unwrap(), Standing::Sealed(first.manifest.clone()));
    assert!(matches!(sealed(&run, nobody()).await, Err(SealError::Sealed(_))));

    // As a recovery does.
    let event: Event = serde_json::from_slice(&whole[end..])
        .map(|line: serde_json::Value| Event {
            at: serde_json::from_value(line["at"].clone()).unwrap(),
            what: serde_json::from_value(line["what"].clone()).unwrap(),
        })
        .unwrap();
    let (journal, _) = Journal::reopen(&run, Clock::System).unwrap();
    journal.append(event.what).unwrap();
    drop(journal);
    assert_eq!(seal::standing(&run).unwrap(), Standing::Grown(first.manifest.clone()));
    let again = sealed(&run, nobody()).await.unwrap();
    assert_eq!(
        (again.replaces.as_ref(), &manifest(&run).0.replaces),
        (Some(&first.manifest), &vec![first.manifest.clone()])
    );
    output(Command::new("sha256sum").args(["--quiet", "--strict", "-c", "SHA256SUMS"]).current_dir(&run));

    std::fs::write(run.join("journal.jsonl"), &whole[..end - 1]).unwrap();
    assert!(matches!(sealed(&run, nobody()).await, Err(SealError::Changed { .. })), "less than what was sealed");
}

/// Every command of the guide does what it says, as it stands there.
#[test]
fn two_runs_are_signed_and_chained_and_the_guide_is_right() {
    let place = place();
    let _victim = place.sleeper("pid");
    let key = key(place.path(), "key", &["-t", "ed25519"], "");
    let image = format!("app=sha256:{}", "a".repeat(64));
    let run =
        || place.run(&["run", "mini.yaml", "--sign-with", "key", "--subject", &image, "--chain-name", "here"]).code(0);
    let first = run();
    assert!(first.err.contains("run 1 of the chain mini@test@here: the chain starts here"), "{}", first.err);
    assert!(first.err.contains(&format!("to be signed by {}", called(&key))), "{}", first.err);
    assert!(first.out.contains(&format!("signed by {}", called(&key))), "{}", first.out);
    // One that never began leaves no gap.
    place.run(&["kill-switch", "on"]).code(0);
    place.run(&["run", "mini.yaml", "--sign-with", "key", "--chain-name", "here"]).code(5);
    place.run(&["kill-switch", "off"]).code(0);
    run();
    let runs = runs(&place);
    assert_eq!(runs.keys().copied().collect::<Vec<_>>(), [1, 2]);
    let (one, digest) = manifest(&runs[&1]);
    assert!(first.out.contains(&digest), "{}", first.out);
    let previous = manifest(&runs[&2]).0.chain.unwrap().previous.unwrap();
    assert_eq!((previous.run, previous.manifest), (one.run, Some(digest.clone())));
    assert_eq!(head(&place)["places"][1]["manifest"], manifest(&runs[&2]).1);
    assert_eq!(kept(&place), 0, "nothing is kept of what is sealed");
    let Some(What::RunStarted(start)) = journal::read(&runs[&2]).unwrap().events.into_iter().next().map(|e| e.what)
    else {
        panic!("no start")
    };
    let lineage = start.lineage.unwrap();
    assert_eq!((lineage.signer, lineage.chain_name.as_str()), (Some(called(&key)), "mini@test@here"));
    assert_eq!(lineage.subjects[0].name, "app");
    good_by_stock_tools(&runs[&2], &key);
    let line = std::fs::read_to_string(runs[&1].join("attestation.intoto.jsonl")).unwrap();
    let envelope: serde_json::Value = serde_json::from_str(&line).unwrap();
    let payload = place.file("payload", envelope["payload"].as_str().unwrap());
    let statement = output(Command::new("base64").arg("-d").arg(payload));
    assert!(statement.contains(&digest) && statement.contains(&"a".repeat(64)), "{statement}");
    assert_eq!(envelope["signatures"][0]["keyid"], called(&key));
    let folder = runs[&2].display().to_string();
    assert!(place.run(&["analyze", &folder]).code(0).out.contains("byte for byte"));
    assert!(place.run(&["analyze", &folder, "--rewrite"]).code(64).err.contains("is sealed"));
    guided(&runs[&2]);
}

/// The shell of sections 1 and 4, and what it prints.
fn guided(run: &Path) {
    let guide = std::fs::read_to_string(run.join("VERIFY.md")).unwrap();
    let blocks: Vec<&str> = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let bash = |text: &str| output(Command::new("bash").arg("-ec").arg(text).current_dir(run));
    let counts: Vec<usize> = bash(blocks[0]).lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(counts[0], counts[1] + 2, "the digests and the signature are not among the digests");
    let head = manifest(run).0.journal_head;
    assert_eq!(bash(blocks.last().unwrap()), format!("{head}  -"), "no line is broken");
    let broken =
        blocks.last().unwrap().replace("done < journal.jsonl", "done < <(grep -v phase_started journal.jsonl)");
    assert!(bash(&broken).contains("broken at:"), "the guide's own check finds a line that is gone");
}

#[test]
fn runs_at_the_same_time_have_two_places_in_one_chain() {
    let place = place();
    let _victims = (place.sleeper("pid"), place.sleeper("pid2"));
    place.file("other.yaml", &DRILL.replace("PID", "pid2"));
    let both = ["mini.yaml", "other.yaml"].map(|file| place.start(&["run", file, "--run-id", file]));
    for child in both {
        Ended::new(child.wait_with_output().unwrap()).code(0);
    }
    assert_eq!(runs(&place).keys().copied().collect::<Vec<_>>(), [1, 2]);
    let head = head(&place);
    for n in [1, 2] {
        assert_eq!(head["places"][n - 1]["manifest"], manifest(&runs(&place)[&(n as u64)]).1, "{head}");
    }
}

/// An agent of its own; ended with the value.
struct Agent(Child, PathBuf);

impl Agent {
    fn with(place: &Place, key: &Path, passphrase: &str) -> Self {
        let socket = place.path().join("agent");
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self(child, socket);
        until("the agent listens", || agent.1.exists());
        let ask = place.file("ask", &format!("#!/bin/sh\necho '{passphrase}'\n"));
        output(Command::new("chmod").arg("+x").arg(&ask));
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &agent.1).env("SSH_ASKPASS", ask);
        output(add.env("SSH_ASKPASS_REQUIRE", "force"));
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_key_with_a_passphrase_signs_by_an_agent_or_nothing_begins() {
    let place = place();
    let _victim = place.sleeper("pid");
    let key = key(place.path(), "locked", &["-t", "ed25519"], "open sesame");
    let mut alone = place.blackstart();
    alone.args(["run", "mini.yaml", "--sign-with", "locked"]).env_remove("SSH_AUTH_SOCK");
    let refused = Ended::new(alone.output().unwrap()).code(69);
    assert!(refused.err.contains("passphrase") && refused.err.contains("ssh-add"), "{}", refused.err);
    assert!(
        !place.path().join("reports").exists() && !place.path().join("state/chain").exists(),
        "nothing was touched"
    );
    let agent = Agent::with(&place, &key, "open sesame");
    for name in ["locked", "locked.pub"] {
        let mut run = place.blackstart();
        run.args(["run", "mini.yaml", "--sign-with", name, "--run-id", name]).env("SSH_AUTH_SOCK", &agent.1);
        Ended::new(run.output().unwrap()).code(0);
        good_by_stock_tools(&place.path().join("reports/mini").join(name), &key);
    }
}

/// Evidence was promised in the start record, and is not what was promised.
#[test]
fn an_agent_that_is_gone_at_the_end_leaves_a_run_unsigned_and_its_exit_code_says_so() {
    let place = place();
    let _victim = place.sleeper("pid");
    let key = key(place.path(), "locked", &["-t", "ed25519"], "open sesame");
    let agent = Agent::with(&place, &key, "open sesame");
    place.file("slow.yaml", &(DRILL.replace("PID", "pid") + LONG).replace("60s", "3s"));
    let mut run = place.blackstart();
    run.args(["run", "slow.yaml", "--sign-with", "locked", "--run-id", "r1"]).env("SSH_AUTH_SOCK", &agent.1);
    let child = run.spawn().unwrap();
    let folder = place.path().join("reports/mini/r1");
    until("the start record", || {
        std::fs::read(folder.join("journal.jsonl")).is_ok_and(|record| record.contains(&b'\n'))
    });
    drop(agent);
    let ended = Ended::new(child.wait_with_output().unwrap()).code(70);
    assert!(ended.err.contains("the run is not signed") && ended.out.contains("UNSIGNED: the key"), "{}", ended.err);
    output(Command::new("sha256sum").args(["--quiet", "--strict", "-c", "SHA256SUMS"]).current_dir(&folder));
    assert!(!folder.join("SHA256SUMS.sig").exists() && manifest(&folder).0.exit_code == 0);
}

#[test]
fn without_a_key_it_is_said_loudly_and_a_missing_one_ends_it() {
    let place = place();
    let _victim = place.sleeper("pid");
    let said = place.run(&["run", "mini.yaml"]).code(0);
    assert!(said.err.contains("UNSIGNED") && said.out.contains("UNSIGNED: no key was given"), "{}", said.out);
    let guide = std::fs::read_to_string(runs(&place)[&1].join("VERIFY.md")).unwrap();
    assert!(guide.contains("**Nobody signed this run.**"), "{guide}");
    assert!(place.run(&["run", "mini.yaml", "--sign-with", "nothing"]).code(69).err.contains("cannot read the key"));
    place.file("nothing", "no key\n");
    assert!(place.run(&["run", "mini.yaml", "--sign-with", "nothing"]).code(69).err.contains("holds no SSH key"));
}

#[test]
fn an_authority_stamps_the_start_record_and_the_signature() {
    let place = place();
    let _victim = place.sleeper("pid");
    key(place.path(), "key", &["-t", "ed25519"], "");
    let authority = Authority::up();
    let said = place.run(&["run", "mini.yaml", "--sign-with", "key", "--timestamp", &authority.url()]).code(0);
    assert!(!said.err.contains("no time stamp"), "{}", said.err);
    let run = runs(&place)[&1].clone();
    let first = output(Command::new("head").args(["-n", "1", "journal.jsonl"]).current_dir(&run)) + "\n";
    let start = place.file("first", &first);
    for (data, stamp) in [(start, "start.tsr"), (run.join("SHA256SUMS.sig"), "SHA256SUMS.tsr")] {
        let mut verify = Command::new("openssl");
        verify
            .args(["ts", "-verify", "-data"])
            .arg(data)
            .arg("-in")
            .arg(run.join(stamp))
            .arg("-CAfile")
            .arg(authority.ca());
        assert!(output(&mut verify).contains("Verification: OK"), "{stamp}");
    }
    assert!(manifest(&run).0.files.iter().any(|file| file.path == "start.tsr"));
    // The digests hold with the stamp beside them.
    output(Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(&run));
    let url = authority.url();
    drop(authority);
    let said = place.run(&["run", "mini.yaml", "--timestamp", &url]).code(0);
    assert!(said.err.contains("no time stamp over the start record"), "{}", said.err);
    assert!(said.err.contains("no time stamp over SHA256SUMS"), "{}", said.err);
}

fn long_run(place: &Place) -> (Child, PathBuf, Vec<serde_json::Value>) {
    place.file("long.yaml", &(DRILL.replace("PID", "pid") + LONG));
    let mut command = place.blackstart();
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = quiet.args(["run", "long.yaml", "--sign-with", "key", "--run-id", "r1"]).spawn().unwrap();
    let run = place.path().join("reports/mini/r1");
    let text = || std::fs::read_to_string(run.join("journal.jsonl")).unwrap_or_default();
    until("the wait", || text().lines().any(|line| line.contains("step_started") && line.contains("\"long\"")));
    let events = place.events(&run);
    (child, run, events)
}

/// The runner and its guardian, which is stopped first, so that it does not take over.
fn killed(runner: &mut Child, events: &[serde_json::Value]) {
    let guarded = events.iter().find_map(|event| event["what"]["guarded"]["guardian"]["pid"].as_i64()).unwrap();
    let guardian = Pid::from_raw(i32::try_from(guarded).unwrap());
    kill(guardian, Signal::SIGSTOP).unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    kill(guardian, Signal::SIGKILL).unwrap();
}

#[test]
fn a_guardian_seals_what_a_killed_runner_cannot() {
    let place = place();
    let _victim = place.sleeper("pid");
    let key = key(place.path(), "key", &["-t", "ed25519"], "");
    let (mut runner, run, _) = long_run(&place);
    runner.kill().unwrap();
    runner.wait().unwrap();
    until("it is sealed and nothing is kept", || run.join("SHA256SUMS").exists() && kept(&place) == 0);
    good_by_stock_tools(&run, &key);
    let (manifest, digest) = manifest(&run);
    assert_eq!((manifest.exit_code, head(&place)["places"][0]["manifest"].as_str()), (4, Some(digest.as_str())));
    assert_eq!(place.run(&["recover"]).code(0).err, "", "it is left as it is");
}

#[test]
fn a_recovery_seals_what_nobody_was_left_to_seal_and_says_that_the_key_is_gone() {
    let place = place();
    let _victim = place.sleeper("pid");
    let key = key(place.path(), "key", &["-t", "ed25519"], "");
    let (mut runner, run, events) = long_run(&place);
    killed(&mut runner, &events);
    std::fs::rename(&key, place.path().join("elsewhere")).unwrap();
    assert!(!run.join("SHA256SUMS").exists());
    let said = place.run(&["recover"]).code(0);
    assert!(said.err.contains("UNSIGNED: cannot read the key"), "{}", said.err);
    output(Command::new("sha256sum").args(["--quiet", "--strict", "-c", "SHA256SUMS"]).current_dir(&run));
    let (manifest, digest) = manifest(&run);
    assert_eq!((manifest.exit_code, head(&place)["places"][0]["manifest"].as_str()), (4, Some(digest.as_str())));
    assert_eq!(kept(&place), 0);
}

const STUCK: &str = r#"
drill: mini
environment: test
baseline: 50ms
targets:
  victim: {process: {pidfile: pid}}
outage:
  - {id: dies, inject: {process_kill: {target: victim, back: {command: [./back]}}}}
"#;

/// Evidence at once, and again when what was left open is healed; the later seal names the earlier.
#[test]
fn a_run_that_is_healed_later_is_sealed_again() {
    let place = place();
    let victim = place.sleeper("pid");
    let key = key(place.path(), "key", &["-t", "ed25519"], "");
    let back = place.file("back", "#!/bin/sh\ntest -e mended && kill -0 $(cat pid)\n");
    output(Command::new("chmod").arg("+x").arg(&back));
    place.file("stuck.yaml", STUCK);
    let said = place.run(&["run", "stuck.yaml", "--sign-with", "key", "--run-id", "r1"]).code(3);
    let run = place.path().join("reports/mini/r1");
    let (first, digest) = manifest(&run);
    assert!(said.out.contains(&digest) && first.exit_code == 3, "{}", said.out);
    good_by_stock_tools(&run, &key);
    place.file("mended", "");
    drop(victim);
    let _victim = place.sleeper("pid");
    let said = place.run(&["recover"]).code(0);
    assert!(said.err.contains("sealed (again: its record was continued)"), "{}", said.err);
    good_by_stock_tools(&run, &key);
    let (second, other) = manifest(&run);
    assert_eq!((second.replaces, second.exit_code), (vec![digest], 4));
    assert_eq!((head(&place)["places"][0]["manifest"].as_str(), kept(&place)), (Some(other.as_str()), 0));
    assert!(place.run(&["analyze", &run.display().to_string()]).code(4).out.contains("byte for byte"));
    place.run(&["verify", "reports"]).code(0);
}

/// No fault was open, so that there was nothing to heal.
#[test]
fn a_recovery_seals_a_run_that_died_before_its_fault() {
    let place = place();
    let _victim = place.sleeper("pid");
    place.file("long.yaml", &DRILL.replace("PID", "pid").replace("50ms", "60s"));
    let mut command = place.blackstart();
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut runner = quiet.args(["run", "long.yaml", "--run-id", "r1"]).spawn().unwrap();
    let run = place.path().join("reports/mini/r1");
    let text = || std::fs::read_to_string(run.join("journal.jsonl")).unwrap_or_default();
    until("the baseline", || text().contains("\"baseline\"") && text().contains("\"guarded\""));
    killed(&mut runner, &place.events(&run));
    // As one that died before it was listed.
    std::fs::remove_file(place.path().join("state/open/r1")).unwrap();
    assert_eq!(place.run(&["recover"]).code(0).out.trim(), "no run left anything open");
    output(Command::new("sha256sum").args(["--quiet", "--strict", "-c", "SHA256SUMS"]).current_dir(&run));
    assert_eq!((head(&place)["places"][0]["manifest"].as_str(), kept(&place)), (Some(manifest(&run).1.as_str()), 0));
}

#[test]
fn the_configuration_names_key_and_chain_beside_it() {
    let place = place();
    let _victim = place.sleeper("pid");
    let key = key(place.path(), "key", &["-t", "ed25519"], "");
    let text = "environments:\n  test: {hosts: [127.0.0.1]}\nevidence:\n  signing: {key: key}\n  chain: kept\n  chain_name: here\n";
    place.file("blackstart.yaml", text);
    let mut elsewhere = place.blackstart();
    elsewhere.args(["run", "../mini.yaml", "--reports", "../reports"]);
    std::fs::create_dir(place.path().join("sub")).unwrap();
    Ended::new(elsewhere.current_dir(place.path().join("sub")).output().unwrap()).code(0);
    good_by_stock_tools(&runs(&place)[&1], &key);
    assert!(place.path().join("kept/mini@test@here.json").is_file());
    let login = "https://me:secret@tsa.example.org/";
    let refused = place.run(&["run", "mini.yaml", "--timestamp", login]).code(64);
    assert!(refused.err.contains("log-in") && !refused.err.contains("secret"), "{}", refused.err);
}

fn bucket(server: &Server, name: &str) -> Keep {
    Keep::Bucket(server.bucket(name), "chains/a".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_in_a_bucket_loses_no_change() {
    let server = Server::up(&["evidence"]);
    let keep = bucket(&server, "evidence");
    let object = "Bucket='evidence', Key='chains/a/x@y@z.json'";
    // Somebody else is quicker, first when there is nothing yet, then over what is there.
    for (letter, other) in [('a', "1"), ('b', "1a2")] {
        let first = AtomicBool::new(true);
        let change = |text: Option<&str>| {
            if first.swap(false, Ordering::SeqCst) {
                server.boto(&format!("s3.put_object({object}, Body=b'{other}')"));
            }
            let text = text.unwrap_or_default();
            Ok((!text.contains(letter)).then(|| format!("{text}{letter}")))
        };
        assert_eq!(keep.change("x@y@z.json", &change, &Clock::System).await, Ok(Swapped::Surely));
    }
    assert_eq!(server.boto(&format!("print(s3.get_object({object})['Body'].read().decode())")), "1a2b");

    let place = place();
    let _victim = place.sleeper("pid");
    let run = |name: &str, secret: &str| {
        let mut command = place.blackstart();
        command.args(["run", "mini.yaml", "--chain", "s3://evidence/runs", "--chain-name", "ci", "--run-id", name]);
        // A workspace of a CI is clean each time.
        command.env("BLACKSTART_STATE_DIR", place.path().join(name)).env("AWS_ACCESS_KEY_ID", "drill");
        command.env("AWS_SECRET_ACCESS_KEY", secret);
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", server.port));
        Ended::new(command.output().unwrap()).code(0)
    };
    run("r1", SECRET);
    let second = run("r2", SECRET);
    assert!(second.err.contains("run 2 of the chain mini@test@ci, after r1"), "{}", second.err);
    let lost = run("r3", "wrong");
    assert!(lost.err.contains("NOT CHAINED: ") && lost.out.contains("NOT CHAINED"), "{}", lost.err);
    assert!(!lost.err.contains("wrong"), "no secret is said");
}

/// A double of a server that takes conditions and does not keep them.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_conditions_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut kept: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for mut stream in listener.incoming().flatten() {
            let (head, body) = request(&mut stream);
            let path = head.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
            let (status, body) = match (head.starts_with("PUT"), kept.get(&path)) {
                (true, _) => {
                    kept.insert(path, body);
                    ("200 OK", Vec::new())
                }
                (false, Some(body)) => ("200 OK", body.clone()),
                (false, None) => ("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
            };
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\netag: \"x\"\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            drop(stream.write_all(&[head.as_bytes(), &body].concat()));
        }
    });
    let endpoint = format!("http://127.0.0.1:{port}");
    let (name, region) = ("double".to_owned(), "us-east-1".to_owned());
    let place = Bucket { endpoint, name, region, addressing: Addressing::Path, login: None, ca: None };
    let keep = Keep::Bucket(place, String::new());
    let change = |text: Option<&str>| Ok(text.is_none().then(|| "x".to_owned()));
    assert_eq!(keep.change("h.json", &change, &Clock::System).await, Ok(Swapped::Unguarded));
}

/// A request's head and body.
fn request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if read.len() >= head.len() + 4 + length.unwrap_or(0) {
                return (head.to_owned(), read[head.len() + 4..].to_vec());
            }
        }
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => read.extend_from_slice(&buffer[..length]),
            _ => return (text, Vec::new()),
        }
    }
}
