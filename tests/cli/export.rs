//! `export`: the sample's operations as a table, checked against its operations logs, in both formats; and refusals.

use crate::support::Place;
use blackstart::journal::{self, Stored};
use blackstart::model::{Mono, OpRecord, Outcome};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::fs::File;
use std::path::{Path, PathBuf};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample")
}

fn stored() -> Stored {
    journal::read(&sample()).unwrap()
}

/// A row as the logs say it, its cells as text.
fn expected(name: &str, op: &OpRecord, start: Mono) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let (action, outcome) = (serde_json::to_value(op.action), serde_json::to_value(op.outcome));
    let since = |at: Mono| (at.0 - start.0).to_string();
    let sent = if matches!(op.outcome, Outcome::Missed | Outcome::Unsent) { String::new() } else { since(op.sent) };
    let latency = op.done.0 - op.due.0;
    let acked = matches!(op.outcome, Outcome::Ok | Outcome::OkLocal);
    // Every workload of the sample has a deadline of one second.
    let (served, late) = (acked && latency <= 1_000_000_000, acked && latency > 1_000_000_000);
    let (writer, seq) = op.key.map_or_else(Default::default, |key| (key.writer.to_string(), key.seq.to_string()));
    let found = op.found.map(|found| word(serde_json::to_value(found).unwrap())).unwrap_or_default();
    let (action, outcome) = (word(action.unwrap()), word(outcome.unwrap()));
    let times = format!("{},{sent},{},{latency}", since(op.due), since(op.done));
    format!("{name},{action},{outcome},{times},{served},{late},{writer},{seq},{found}")
}

fn all_expected() -> Vec<String> {
    let stored = stored();
    let start = stored.events[0].at.mono;
    let names = ["orders", "orders.probe", "page"];
    assert_eq!(stored.ops.len(), names.len());
    names.iter().flat_map(|name| stored.ops[&(*name).into()].iter().map(|op| expected(name, &op, start))).collect()
}

#[test]
fn csv_has_a_row_for_every_operation() {
    let place = Place::new();
    let (run, rows) = (sample(), all_expected());
    let ended = place.run(&["export", run.to_str().unwrap(), "--csv"]).code(0);
    assert_eq!(ended.err, "");
    let mut lines = ended.out.lines();
    let head = "workload,action,outcome,due_ns,sent_ns,done_ns,latency_ns,served,late,writer,seq,found";
    assert_eq!(lines.next(), Some(head));
    // One row as it was read by a person.
    assert_eq!(lines.clone().next(), Some("orders,write,ok,55293644,55449230,56056880,763236,true,false,0,0,"));
    assert_eq!(lines.collect::<Vec<_>>(), rows);

    let arguments = ["export", run.to_str().unwrap(), "--csv", "--workload", "page", "--output", "page.csv"];
    let ended = place.run(&arguments).code(0);
    let text = std::fs::read_to_string(place.path().join("page.csv")).unwrap();
    assert_eq!((ended.out.as_str(), text.lines().count()), ("", stored().ops[&"page".into()].len() + 1));
    assert!(text.lines().skip(1).all(|line| line.starts_with("page,visit,")));
}

#[test]
fn parquet_has_the_same_rows_with_types() {
    let place = Place::new();
    let run = sample();
    place.run(&["export", run.to_str().unwrap(), "--parquet", "--output", "all.parquet"]).code(0);
    let reader = SerializedFileReader::new(File::open(place.path().join("all.parquet")).unwrap()).unwrap();
    let cell = |(_, field): (&String, &Field)| match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Bool(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        other => panic!("{other:?}"),
    };
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        row.get_column_iter().map(cell).collect::<Vec<_>>().join(",")
    });
    assert_eq!(rows.collect::<Vec<_>>(), all_expected());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_file()).count(), 1);
}

#[test]
fn what_does_not_verify_is_exported_only_when_told() {
    let place = Place::new();
    let (from, run) = (sample(), place.path().join("run"));
    std::fs::create_dir_all(run.join("ops")).unwrap();
    for file in std::fs::read_dir(from.join("ops")).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::copy(&file, run.join("ops").join(file.file_name().unwrap())).unwrap();
    }
    std::fs::copy(from.join("journal.jsonl"), run.join("journal.jsonl")).unwrap();
    place.run(&["export", "run", "--csv"]).code(0);
    let log = run.join("ops/page.ops");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let refused = place.run(&["export", "run", "--csv", "--output", "x.csv"]).code(2);
    assert!(refused.err.contains("does not verify") && refused.err.contains("--unverified"), "{}", refused.err);
    assert!(!place.path().join("x.csv").exists());
    let given = place.run(&["export", "run", "--csv", "--unverified"]).code(0);
    assert!(given.err.contains("not verified"), "{}", given.err);
    let rows = given.out.lines().count();
    assert!(rows > 1000 && rows < all_expected().len(), "{rows}");
}

#[test]
fn wrong_calls_are_refused() {
    let place = Place::new();
    let run = sample();
    let run = run.to_str().unwrap();
    place.run(&["export", run]).code(64);
    place.run(&["export", run, "--csv", "--parquet", "--output", "x"]).code(64);
    place.run(&["export", run, "--parquet"]).code(64);
    place.run(&["export", "nowhere", "--csv"]).code(64);
    let ended = place.run(&["export", run, "--csv", "--workload", "pages"]).code(64);
    assert!(ended.err.contains("one of: orders, orders.probe, page"), "{}", ended.err);
    place.run(&["export", run, "--csv", "--output", "no/such/folder/x.csv"]).code(70);
}
