//! Secrets in every place that can carry one: none of them is in a run's folder, in the state directory, on the terminal or
//! in a list of processes, in whatever form; and one that a program writes into the folder keeps it from being sealed.

use crate::support;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Ended, Place};

/// Everything is a different secret, so that a leak says where it came from.
const ENV: &str = "kT9-env-vbQ2xZ";
const FILE: &str = "p\"a's $w&/<é>\\x9 +end";
const COMMAND: &str = "Zr7.command_Q4mUy";
const STAGED: &str = "x8Kq-staged-Wm3";
const HEADER: &str = "hJ4vHeaderTokenXq";
const USER: &str = "uR5l~userinfo!8";
const SQL: &str = "nB6'sql\"literal;7";
/// Given on a command line, where all can see it: of no test that looks there.
const PARAM: &str = "Wq5.param_T8nLk";
const LINES: [&str; 3] = ["first-Line+of/Key=1", "second-Line+of/Key=2", "third-Line+of/Key=3"];
const ALL: [&str; 10] = [ENV, FILE, COMMAND, STAGED, HEADER, USER, SQL, LINES[0], LINES[1], LINES[2]];

/// Prints what is in PW in every way that programs have.
const ENCODINGS: &str = r#"
import base64, html, json, os, re, shlex, sys, urllib.parse
pw = os.environ["PW"]; raw = pw.encode()
ways = [pw, repr(pw), json.dumps(pw), json.dumps(json.dumps(pw)), json.dumps(pw, ensure_ascii=False), html.escape(pw),
  urllib.parse.quote(pw, safe=""), urllib.parse.quote(pw), urllib.parse.quote_plus(pw), re.sub("%..", lambda code: code[0].lower(), urllib.parse.quote(pw, safe="")),
  shlex.quote(pw), raw.hex(), raw.hex().upper(), pw.replace("'", "''")]
for pad in ["", "a", "ab", "user:", "u:", "longer prefix"]:
    for end in ["", "1", "22"]:
        both = pad.encode() + raw + end.encode()
        ways += [base64.b64encode(both).decode(), base64.urlsafe_b64encode(both).decode(), base64.encodebytes(both).decode()]
        ways += [base64.b64encode(base64.b64encode(both)).decode(), urllib.parse.quote(base64.b64encode(both).decode(), safe="")]
out = sys.stderr if len(sys.argv) > 1 else sys.stdout
print("\n".join(ways), file=out)
print("Authorization: Bearer " + pw, file=out)
sys.exit(len(sys.argv) - 1)
"#;

const DRILL: &str = r#"
drill: carries
environment: test
params: {page: {default: "http://127.0.0.1:PORT"}}
metadata: {owner: [team]}
objectives: {rto: 20s}
staging: {up: {command: [sh, -c, 'echo "password=$(cat staged)"; echo "url=http://app:$(cat staged)@127.0.0.1:PORT/"']}, down: {command: ["true"]}}
secrets:
  env:     {env: SECRET_ENV}
  file:    {file: secret}
  command: {command: [cat, command]}
  staged:  {file: "./staged"}
  header:  {file: header}
  user:    {file: user}
  sql:     {file: sql}
  lines:   {file: lines}
targets:
  db:   {postgres: {url: "postgresql://app:${secrets.command}@127.0.0.1:PORT/app?connect_timeout=1&sslmode=disable"}}
  site: {http: {url: "http://app:${secrets.user}@127.0.0.1:PORT/"}}
workload:
  page:
    http: {url: "${params.page}/?n={nonce}", headers: {authorization: "Bearer ${secrets.header}", x-api-key: "${secrets.env}"}, rate: 20/s, timeout: 1s}
    service: {deadline: 900ms, stable: 1s}
fingerprints:
  files: {directory: {path: data}}
baseline: 300ms
outage:
  - id: broken
    inject:
      command:
        inject: {argv: [sh, -c, 'echo "in $PW"; echo "in $PW" >&2; touch flag; : > "data/$SAFE"'], env: {PW: "${secrets.file}", SAFE: "${secrets.env}"}}
        effective: {argv: [sh, -c, 'echo "effect $PW"; test -e flag'], env: {PW: "${secrets.file}"}}
        heal: {argv: [sh, -c, 'echo "heal $PW"; rm -f flag'], env: {PW: "${secrets.file}"}}
        healed: {argv: [sh, -c, 'echo "healed $PW"; test ! -e flag'], env: {PW: "${secrets.file}"}}
    deadline: 1m
failover:
  - parallel:
    - {id: out_file, run: {command: {argv: [python3, ENC], env: {PW: "${secrets.file}"}}}, output: {all: {regex: "(?s).*"}}, milestone: seen}
    - {id: out_env, run: {command: {argv: [python3, ENC], env: {PW: "${secrets.env}"}}}, output: {all: {regex: "(?s).*"}}}
    - {id: err_sql, check: {command: {argv: [python3, ENC, fail], env: {PW: "${secrets.sql}"}}}}
    - {id: out_lines, run: {command: {argv: [sh, -c, 'echo "$PW"; echo "$PW" | base64'], env: {PW: "${secrets.lines}"}}}, output: {all: {regex: "(?s).*"}}}
    - {id: body, check: {http: {url: "${params.page}/a?token=${secrets.env}", headers: {authorization: "Basic ${secrets.header}", cookie: "sid=${secrets.user}"}, value: {equals: other}}}}
    - {id: site, check: {http: {url: "http://app:${secrets.user}@127.0.0.1:PORT/", value: {equals: other}}}}
    - {id: from_staging, check: {http: {url: "${staging.url}", value: {equals: other}}}}
    - {id: refused, check: {http: {url: "http://app:${secrets.user}@127.0.0.1:9/?k=${secrets.env}", value: {equals: other}}}}
    - {id: posts, run: {request: {method: POST, url: "${params.page}/post", headers: {x-token: "${secrets.header}"}, body: '{"password":"${secrets.file}"}'}}}
    - {id: stdin, run: {command: {argv: [cat], stdin: "${secrets.sql}"}}, output: {all: {regex: "(?s).*"}}}
    - {id: told, check: {command: {argv: [echo, "${steps.earlier.output.word}"], stdout: {equals: nothing}}}}
    - {id: query, check: {sql: {target: db, query: "select 'SQLTEXT'", args: ["${secrets.sql}"], value: {equals: 1}, timeout: 1s}}}
    - {id: asked, ask: "is it so?", within: 5s}
restore:
  - {heal: broken}
verify:
  - {id: kept, check: {fingerprint: files}}
"#;

fn drill(port: u16) -> String {
    DRILL.replace("PORT", &port.to_string())
        .replace("    - {id: told, check: {command: {argv: [echo, \"${steps.earlier.output.word}\"], stdout: {equals: nothing}}}}\n", "")
        .replace("ENC", "enc.py").replace("SQLTEXT", "plain")
}

/// A folder with everything that the drill reads.
fn place(port: u16) -> Place {
    let place = Place::new();
    place.file("blackstart.yaml", "environments: {test: {}}\n");
    place.file("carries.yaml", &drill(port));
    place.file("enc.py", ENCODINGS);
    place.file("data/kept", "1");
    place.file("lines", &LINES.join("\n"));
    for (name, text) in
        [("secret", FILE), ("command", COMMAND), ("staged", STAGED), ("header", HEADER), ("user", USER), ("sql", SQL)]
    {
        place.file(name, text);
    }
    place.file(
        "answers.jsonl",
        &format!("{}\n", serde_json::json!({"step": "asked", "done": true, "by": format!("ann {ENV}")})),
    );
    place
}

/// Answers every request with all that it was told, and sets a cookie.
fn echo(port: u16) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let over = over.clone();
        move || {
            while !over.load(Ordering::SeqCst) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    continue;
                };
                std::thread::spawn(move || {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
                    let mut said = vec![0; 8192];
                    let read = stream.read(&mut said).unwrap_or(0);
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nset-cookie: sid={USER}\r\nconnection: close\r\ncontent-length: {read}\r\n\r\n"
                    );
                    drop(stream.write_all(&[head.as_bytes(), &said[..read]].concat()));
                });
            }
        }
    });
    Server { over, thread: Some(thread) }
}

struct Server {
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// What the bytes may be read as: unescaped in every way, and whatever base64 stands in them. Shares no code with the crate.
fn readings(bytes: &[u8], depth: u8) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let percent = |text: &str| {
        let (mut out, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((first, tail)) = rest.split_first() {
            let code = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
            match (first, code) {
                (b'%', Some(code)) => (out.push(code), rest = &tail[2..]).1,
                _ => (out.push(*first), rest = tail).1,
            }
        }
        out
    };
    let html = [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    let unescaped = html.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to));
    let codes = [("\\u00e9", "é"), ("\\u00E9", "é"), ("\\u003c", "<"), ("\\u003e", ">"), ("\\u0026", "&")];
    let plain = codes.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to)).replace("\\\\", "\u{1}");
    let plain = plain.replace('\\', "").replace('\u{1}', "\\");
    let mut all = vec![
        bytes.to_vec(),
        percent(&text),
        percent(&text.replace('+', " ")),
        unescaped.into_bytes(),
        plain.into_bytes(),
    ];
    all.push(text.replace('\\', "").into_bytes());
    all.push(text.replace("'\\''", "'").into_bytes());
    all.push(text.replace("''", "'").into_bytes());
    all.push(text.replace("'\"'\"'", "'").into_bytes());
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let runs = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c))).filter(|run| run.len() >= 8);
    for run in runs {
        for alphabet in [&STANDARD, &URL_SAFE] {
            for skip in 0..4 {
                let run = &run[skip..];
                let whole = if run.len() % 4 == 1 { &run[..run.len() - 1] } else { run };
                all.extend(GeneralPurpose::new(alphabet, config).decode(whole));
            }
        }
    }
    if depth > 0 {
        let deeper: Vec<Vec<u8>> = all
            .iter()
            .skip(1)
            .filter(|bytes| bytes.len() < 4096)
            .flat_map(|bytes| readings(bytes, depth - 1))
            .collect();
        all.extend(deeper);
    }
    all
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

/// No secret stands in it, in any form.
#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    let readings = readings(bytes, 1);
    for secret in ALL {
        let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
        for part in [secret, &hex, &hex.to_uppercase()] {
            let found = readings.iter().find(|bytes| holds(bytes, part));
            assert!(found.is_none(), "{what} holds {part}:\n{}", found.map(|f| around(f, part)).unwrap_or_default());
        }
    }
}

fn around(bytes: &[u8], part: &str) -> String {
    let at = bytes.windows(part.len()).position(|window| window == part.as_bytes()).unwrap_or(0);
    String::from_utf8_lossy(&bytes[at.saturating_sub(300)..bytes.len().min(at + 300)]).into_owned()
}

fn folder(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        clean(&entry.path().display().to_string(), entry.file_name().as_encoded_bytes());
        if entry.file_type().unwrap().is_dir() {
            folder(&entry.path());
        } else {
            clean(&entry.path().display().to_string(), &std::fs::read(entry.path()).unwrap());
        }
    }
}

/// Runs the drill and looks at every list of processes meanwhile.
fn ran(place: &Place, arguments: &[&str]) -> Ended {
    let mut command = place.blackstart();
    command.args(["run", "carries.yaml", "--reports", "out", "--answers", "answers.jsonl"]).args(arguments);
    let mut child = command.env("SECRET_ENV", ENV).spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            from.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let (out, err) = (read(Box::new(out)), read(Box::new(err)));
    let status = loop {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            for secret in ALL {
                assert!(!holds(&line, secret), "{}", String::from_utf8_lossy(&line));
            }
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    Ended { code: status.code().unwrap_or(-1), out: out.join().unwrap(), err: err.join().unwrap() }
}

#[test]
fn no_place_that_can_carry_a_secret_shows_one() {
    let port = 17_455;
    let _server = echo(port);
    std::thread::scope(|scope| {
        for output in ["human", "plain", "json"] {
            scope.spawn(move || {
                let place = place(port);
                let ended = ran(&place, &["--output", output]).code(1);
                let dir = place.only_run("out/carries");
                assert!(!dir.join("UNSEALED").exists(), "{}", ended.err);
                clean("standard output", ended.out.as_bytes());
                clean("standard error", ended.err.as_bytes());
                folder(&place.path().join("out"));
                folder(&place.path().join("state"));
                // The test can fail: everything was said, by name.
                let journal = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
                for name in ["env", "file", "command", "header", "user", "sql", "lines"] {
                    assert!(journal.contains(&format!("${{secrets.{name}}}")), "{name} was never said:\n{journal}");
                }
                for said in
                    ["effect ${secrets.file}", "Authorization: Bearer ${secrets.", "http://app:${secrets.staged}@"]
                {
                    assert!(journal.contains(said), "{said} is not in\n{journal}");
                }
            });
        }
    });
}

#[test]
fn this_test_would_see_every_form() {
    for secret in ALL {
        let done = std::process::Command::new("python3").args(["-c", ENCODINGS]).env("PW", secret).output().unwrap();
        let lines = String::from_utf8(done.stdout).unwrap();
        assert!(lines.lines().count() > 80, "{lines}");
        let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let seen = readings(line.as_bytes(), 1)
                .iter()
                .any(|read| [secret, &hex, &hex.to_uppercase()].iter().any(|part| holds(read, part)));
            assert!(seen, "{secret}: {line}");
        }
    }
}

#[test]
fn a_secret_that_is_written_into_the_folder_keeps_it_from_being_sealed() {
    let place = Place::new();
    place.file("blackstart.yaml", "environments: {test: {}}\n");
    place.file("secret", FILE);
    place.file(
        "leaks.yaml",
        "drill: leaks\nenvironment: test\nbaseline: 50ms\nsecrets: {pw: {file: secret}}\nverify:\n  - id: writes\n    \
         run: {command: {argv: [sh, -c, 'mkdir -p \"$DIR/ops\"; printf \"..%s..\" \"$PW\" | base64 > \"$DIR/ops/planted\"; printf \"%s\" \"$PW\" > \"$DIR/raw\"'], \
         env: {PW: \"${secrets.pw}\", DIR: \"${run.dir}\"}}}\n",
    );
    let ended = place.run(&["run", "leaks.yaml", "--reports", "out", "--output", "plain"]).code(70);
    let said = format!("{}{}", ended.out, ended.err);
    for part in
        ["not sealed", "ops/planted holds the secret `pw` (at byte", "raw holds the secret `pw` (at byte 0)", "PASSED"]
    {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    clean("the terminal", said.as_bytes());
    let dir = place.only_run("out/leaks");
    let note = std::fs::read(dir.join("UNSEALED")).unwrap();
    assert!(String::from_utf8_lossy(&note).contains("ops/planted"));
    clean("UNSEALED", &note);
    assert!(!dir.join("SHA256SUMS").exists() && !dir.join("MANIFEST.json").exists());
}

#[test]
fn a_secret_in_the_playbook_or_a_parameter_is_refused_before_anything_is_written() {
    let head = "drill: literal\nenvironment: test\nbaseline: 50ms\n";
    let verify = "verify:\n  - check: {tcp: {address: \"127.0.0.1:9\", port: closed}}\n";
    for (text, arguments, code, said) in [
        (
            format!("{head}secrets: {{pw: {{file: secret}}}}\n# {PARAM}\n{verify}"),
            &[][..],
            69,
            "literal.yaml:5:3: the secret `pw` stands",
        ),
        (
            format!("{head}params: {{x: {{default: y}}}}\nsecrets: {{pw: {{file: secret}}}}\n{verify}"),
            &["--param", "x=Wq5.param_T8nLk"],
            69,
            "the parameter `x` holds the secret `pw`",
        ),
        (format!("{head}# ghp_{}\n{verify}", "a1".repeat(18)), &[], 65, "a GitHub token is written into the playbook"),
        (
            format!("{head}targets: {{s: {{http: {{url: \"http://app:{PARAM}@127.0.0.1:9\"}}}}}}\n{verify}"),
            &[],
            65,
            "a password in a URL is written into the playbook",
        ),
    ] {
        let place = Place::new();
        place.file("blackstart.yaml", "environments: {test: {}}\n");
        place.file("secret", PARAM);
        place.file("literal.yaml", &text);
        let ended = place.run(&[&["run", "literal.yaml", "--reports", "out"], arguments].concat()).code(code);
        assert!(ended.err.contains(said), "{}", ended.err);
        assert!(ended.err.contains("secrets"), "{}", ended.err);
        assert!(!ended.err.contains(PARAM) && !ended.out.contains(PARAM), "{}", ended.err);
        assert!(!place.path().join("out/literal").exists());
    }
}
