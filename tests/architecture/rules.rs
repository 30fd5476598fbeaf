//! The house rules as functions from sources to complaints.

use super::source::{Source, crate_modules, functions, public_signatures, words};

/// What breaks a rule: `path:line: what`.
pub type Complaints = Vec<String>;

/// A rule.
pub type Rule = fn(&Source) -> Complaints;

/// All rules for one file.
pub const RULES: &[(&str, Rule)] = &[
    ("header", header),
    ("size", size),
    ("functions", function_size),
    ("unfinished", unfinished),
    ("lints", lints),
    ("unwrap", unwrap),
    ("time", time),
    ("printing", printing),
    ("clap", clap),
    ("exits", exits),
    ("clients", clients),
    ("processes", processes),
    ("purity", purity),
    ("imports", imports),
    ("untyped", untyped),
    ("bool", bool_parameters),
    ("sleep", sleep),
    ("skipped", skipped_tests),
    ("workplace", workplace),
];

const MAX_LINES: usize = 700;
const MAX_FUNCTION: usize = 70;

fn complain(source: &Source, code: &str, word: &str, why: &str) -> Complaints {
    let path = &source.path;
    words(code, word).into_iter().map(|at| format!("{path}:{}: `{word}`: {why}", line(code, at))).collect()
}

fn line(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

fn all(source: &Source, code: &str, banned: &[&str], why: &str) -> Complaints {
    banned.iter().flat_map(|word| complain(source, code, word, why)).collect()
}

fn header(source: &Source) -> Complaints {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!("{}:1: a file begins with `//!`: what lives here, and what does not", source.path)]
}

fn size(source: &Source) -> Complaints {
    let lines = source.text.lines().count();
    let message = format!("{}: {lines} lines, at most {MAX_LINES}", source.path);
    (lines > MAX_LINES).then_some(message).into_iter().collect()
}

fn function_size(source: &Source) -> Complaints {
    functions(&source.code)
        .into_iter()
        .filter(|(_, _, lines)| *lines > MAX_FUNCTION)
        .map(|(name, first, lines)| {
            format!("{}:{first}: `{name}` has {lines} lines, at most {MAX_FUNCTION}", source.path)
        })
        .collect()
}

fn unfinished(source: &Source) -> Complaints {
    let macros = all(source, &source.code, &["todo!", "unimplemented!"], "finish it");
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    [macros, all(source, &source.text, &words, "finish it, or say in words what is left out")].concat()
}

fn lints(source: &Source) -> Complaints {
    let mut found = all(source, &source.code, &["#[allow", "#![allow"], "use #[expect(…, reason = …)]");
    for (at, _) in source.code.match_indices("#[expect(") {
        let end = source.code[at..].find(']').map_or(source.code.len(), |end| at + end);
        if !source.code[at..end].contains("reason") {
            found.push(format!("{}:{}: `expect` without a reason", source.path, line(&source.code, at)));
        }
    }
    found
}

fn unwrap(source: &Source) -> Complaints {
    let (path, code) = (&source.path, &source.product);
    let unwraps = code.match_indices(".unwrap()").map(|(at, _)| format!("{path}:{}: unwrap", line(code, at)));
    unwraps.chain(complain(source, code, "panic!", "nothing panics on user input")).collect()
}

fn time(source: &Source) -> Complaints {
    if source.path == "src/clock.rs" {
        return Vec::new();
    }
    let readers = ["Instant::now", "SystemTime::now", "Utc::now", "Local::now", "clock_gettime", "gettimeofday"];
    all(source, &source.product, &readers, "only clock.rs reads the time")
}

fn printing(source: &Source) -> Complaints {
    if source.module() == "cli" {
        return Vec::new();
    }
    let printers = ["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout", "io::stderr"];
    all(source, &source.product, &printers, "only cli prints")
}

fn clap(source: &Source) -> Complaints {
    if source.module() == "cli" {
        return Vec::new();
    }
    all(source, &source.product, &["clap", "clap_complete", "clap_mangen", "indicatif"], "only cli names it")
}

fn exits(source: &Source) -> Complaints {
    all(source, &source.product, &["process::exit", "process::abort"], "a program ends by returning from main")
}

fn clients(source: &Source) -> Complaints {
    if ["adapters", "staging", "helpers"].contains(&source.module()) {
        return Vec::new();
    }
    let crates = [
        "reqwest",
        "hyper",
        "hyper_util",
        "http_body_util",
        "mysql_async",
        "tokio_postgres",
        "tokio_postgres_rustls",
        "rustls",
        "axum",
        "rcgen",
        "x509_parser",
        "hickory_proto",
        "httparse",
        "rusqlite",
        "kube",
        "k8s_openapi",
    ];
    all(source, &source.product, &crates, "only adapters name client crates")
}

fn processes(source: &Source) -> Complaints {
    if ["adapters", "staging", "helpers", "rig"].contains(&source.module()) {
        return Vec::new();
    }
    let calls = ["process::Command", "tokio::process", "nix::sys::signal", "signal::kill"];
    all(source, &source.product, &calls, "only adapters start and signal processes")
}

fn purity(source: &Source) -> Complaints {
    if ![
        "model", "event", "ledger", "playbook", "plan", "analysis", "report", "controls", "history", "redact", "inside",
    ]
    .contains(&source.module())
    {
        return Vec::new();
    }
    let banned = [
        "async",
        "await",
        "tokio",
        "std::fs",
        "fs::read_to_string",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "crate::clock",
        "nix",
    ];
    all(source, &source.product, &banned, "this module is pure: no async, no tokio, no files, no clock")
}

/// Who may import what. `cli` may use everything; nobody uses `cli`.
const IMPORTS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("model", &["model"]),
    ("event", &["model"]),
    ("ledger", &["ledger", "event", "model"]),
    ("clock", &["model"]),
    ("config", &["model", "playbook"]),
    ("inside", &["inside", "plan", "playbook", "faults", "model"]),
    ("journal", &["journal", "event", "model", "clock"]),
    ("playbook", &["playbook", "redact", "model", "faults", "probes", "workloads", "restores", "fingerprints"]),
    (
        "plan",
        &[
            "plan",
            "redact",
            "playbook",
            "model",
            "event",
            "config",
            "controls",
            "faults",
            "probes",
            "workloads",
            "restores",
            "fingerprints",
        ],
    ),
    (
        "exec",
        &[
            "exec",
            "inside",
            "redact",
            "plan",
            "playbook",
            "journal",
            "ledger",
            "event",
            "model",
            "clock",
            "config",
            "adapters",
            "faults",
            "probes",
            "workloads",
            "restores",
            "fingerprints",
        ],
    ),
    ("analysis", &["analysis", "ledger", "event", "model"]),
    ("report", &["report", "analysis", "event", "model", "controls"]),
    ("controls", &["controls"]),
    ("evidence", &["evidence", "redact", "journal", "event", "model", "clock", "adapters"]),
    ("redact", &["redact"]),
    // Folds over what runs' reports say; where the index is kept is an adapter's business.
    ("history", &["history", "controls", "event", "model"]),
    ("faults", &["faults", "adapters", "model"]),
    ("probes", &["probes", "faults", "adapters", "model"]),
    ("fingerprints", &["fingerprints", "probes", "faults", "adapters", "model"]),
    ("workloads", &["workloads", "probes", "faults", "adapters", "model"]),
    ("restores", &["restores", "probes", "faults", "adapters", "model"]),
    ("adapters", &["adapters", "history", "workloads", "ledger", "model", "clock"]),
    ("staging", &["staging", "plan", "adapters", "ledger", "model", "clock"]),
    ("helpers", &["helpers", "adapters", "model", "clock"]),
    // What is true is found by code that shares nothing with what is measured.
    ("rig", &["rig", "clock"]),
    (
        "sim",
        &[
            "sim",
            "exec",
            "plan",
            "playbook",
            "journal",
            "ledger",
            "event",
            "model",
            "clock",
            "config",
            "adapters",
            "faults",
            "probes",
            "workloads",
            "restores",
        ],
    ),
];

fn imports(source: &Source) -> Complaints {
    let module = source.module();
    if ["cli", "lib", "docs"].contains(&module) || source.product.is_empty() {
        return Vec::new();
    }
    let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{}: `{module}` has no place in the import rules; give it one", source.path)];
    };
    crate_modules(&source.product)
        .into_iter()
        .filter(|(named, _)| !allowed.contains(&named.as_str()))
        .map(|(named, line)| format!("{}:{line}: `{module}` must not import `{named}`", source.path))
        .collect()
}

fn untyped(source: &Source) -> Complaints {
    let maps = ["HashMap<String, Value>", "HashMap<String, serde_json::Value>"];
    let mut found = all(source, &source.product, &maps, "give it a type");
    if source.module() == "playbook" {
        let lossy = ["untagged", "flatten"];
        let serde: Vec<&str> =
            source.product.match_indices("#[serde(").map(|(at, _)| attribute(&source.product, at)).collect();
        found.extend(
            serde
                .iter()
                .filter(|a| lossy.iter().any(|l| a.contains(l)) || a.contains("tag ="))
                .map(|a| format!("{}: `{a}` loses the spans", source.path)),
        );
    }
    found
}

fn attribute(code: &str, at: usize) -> &str {
    &code[at..code[at..].find(']').map_or(code.len(), |end| at + end + 1)]
}

fn bool_parameters(source: &Source) -> Complaints {
    public_signatures(&source.product)
        .into_iter()
        .filter(|(_, signature)| signature.split("->").next().is_some_and(|parameters| parameters.contains(": bool")))
        .map(|(line, signature)| {
            format!("{}:{line}: a bool parameter says nothing at the call: `{}`", source.path, signature.trim())
        })
        .collect()
}

fn sleep(source: &Source) -> Complaints {
    if source.path == "src/clock.rs" {
        return Vec::new();
    }
    all(source, &source.product, &["thread::sleep"], "wait on a condition with a deadline")
}

fn skipped_tests(source: &Source) -> Complaints {
    all(source, &source.code, &["#[ignore"], "no skipped tests")
}

/// The project stands on its own: it does not know where it was written.
pub fn workplace(source: &Source) -> Complaints {
    mentions(&source.path, &source.text)
}

/// The same for any text file.
pub fn mentions(path: &str, text: &str) -> Complaints {
    let banned =
        [concat!("../", "shared"), concat!("shared/", "design"), concat!("/", "work/"), concat!("issues ", "show")];
    let mut found: Complaints = banned
        .iter()
        .flat_map(|word| text.match_indices(word))
        .map(|(at, word)| format!("{path}:{}: names the workplace: `{word}`", line(text, at)))
        .collect();
    for start in [concat!("issue", " "), concat!("Issue", " "), concat!("issue", " #")] {
        for (at, _) in text.match_indices(start) {
            if text[at + start.len()..].starts_with(|c: char| c.is_ascii_digit()) {
                found.push(format!("{path}:{}: names the number of an issue", line(text, at)));
            }
        }
    }
    found
}
