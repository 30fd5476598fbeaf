//! Playbooks that are torn, swapped and spoilt at random: reading one always ends, soon, and with a diagnostic or a plan.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use blackstart::config::Config;
use blackstart::plan::{self, Inputs};
use blackstart::playbook::{self, RenderStyle, SourceText};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

fn texts() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playbooks/ok");
    ["everything.yaml", "patroni.yaml", "game-day.yaml", "styles.yaml"]
        .map(|name| std::fs::read_to_string(folder.join(name)).unwrap())
        .to_vec()
}

fn environments() -> Config {
    Config::parse(SourceText::new("b.yaml", "environments: {staging: {hosts: [\"*.example.com\"]}}\n")).unwrap()
}

/// Reads a text to the end, as `validate` does.
fn validate(bytes: &[u8]) -> String {
    let none = |_: &Path| Err("not here".to_owned());
    let (asts, mut said) = playbook::load(&[SourceText::from_bytes("a.yaml", bytes)], &none);
    let (params, config) = (BTreeMap::new(), environments());
    let inputs = Inputs { params: &params, env: &|_| None, config: &config };
    let mut plans = 0;
    for ast in &asts {
        match plan::lower(ast, &inputs) {
            Ok(found) => plans += found.len() + usize::from(ast.kind != playbook::FileKind::Drill),
            Err(more) => said.extend(more),
        }
    }
    assert!(plans > 0 || said.iter().any(playbook::Diagnostic::is_error), "neither a plan nor an error");
    playbook::render_all(&said, RenderStyle::Plain)
}

#[test]
fn a_pair_without_braces_in_a_list_that_is_not_closed_is_explained() {
    let said = validate("drill: x\ninclude: [é: y\nmetadata: }\n".as_bytes());
    assert!(said.contains("error"), "{said}");
}

/// Pieces that matter to the language.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\n]{0,6}",
        prop::sample::select(vec![
            "${",
            "}",
            "{",
            "[",
            "]",
            ": ",
            "- ",
            "\n",
            "&a ",
            "*a",
            "!t ",
            "\"",
            "'",
            "|",
            ">",
            "#",
            "$${",
            "null",
            "~",
            "<<: ",
            "${params.mode}",
            "${targets.primary.pid}",
            "${steps.promote.output.lsn}",
            "${secrets.token}",
            "${staging.x}",
            "command: [a]",
            "within: 5s",
            "5",
            "5s",
            "100%",
            "true",
            "\t",
            "\u{feff}",
            "\u{fffc}",
            "é",
            "\0",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spoilt_playbooks_are_explained(
        which in 0..4_usize,
        cuts in proptest::collection::vec((0.0..1.0_f64, 0..30_usize, piece()), 1..6),
    ) {
        let mut text: Vec<char> = texts()[which].chars().collect();
        for (at, length, piece) in cuts {
            let start = (at * text.len() as f64) as usize;
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        validate(text.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn any_bytes_are_explained(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(validate(&bytes).contains("error"));
    }

    #[test]
    fn lines_in_any_order_are_explained(which in 0..4_usize, swaps in proptest::collection::vec((any::<u16>(), any::<u16>()), 1..8)) {
        let text = texts()[which].clone();
        let mut lines: Vec<&str> = text.lines().collect();
        for (a, b) in swaps {
            let n = lines.len();
            lines.swap(usize::from(a) % n, usize::from(b) % n);
        }
        validate(lines.join("\n").as_bytes());
    }
}

#[test]
fn a_long_playbook_costs_in_proportion_to_its_length() {
    let head = "drill: long\nenvironment: embedded\nrestore:\n";
    let text = |n: usize| {
        let step =
            |i| format!("  - {{id: s{i}, name: step {i}, run: {{command: [./a, b, \"${{run.id}}\"]}}, within: 10s}}\n");
        head.to_owned() + &(0..n).map(step).collect::<String>()
    };
    let time = |text: &str| {
        let start = Instant::now();
        assert!(!validate(text.as_bytes()).contains("error"));
        start.elapsed().as_secs_f64()
    };
    let (short, long) = (text(1_000), text(20_000));
    time(&short);
    let ratio = time(&long) / time(&short);
    assert!(ratio < 100.0, "20 times as long takes {ratio} times as long");
}
