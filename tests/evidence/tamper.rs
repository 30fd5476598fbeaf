//! Cheats, each of which `verify` must catch and name; and runs that nobody touched, of which it must say nothing.

use super::forge::*;
use blackstart::evidence::verify::Kind;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stock tools must say, where it is for them to catch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stock {
    /// `sha256sum -c` fails.
    Sums,
    /// `ssh-keygen -Y verify` fails.
    Signature,
    /// Both are content: only the program can tell.
    Neither,
}

struct Cheat {
    name: &'static str,
    act: fn(&Path),
    kind: Kind,
    file: &'static str,
    stock: Stock,
}

const fn cheat(name: &'static str, kind: Kind, file: &'static str, stock: Stock, act: fn(&Path)) -> Cheat {
    Cheat { name, act, kind, file, stock }
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Adds bytes to a file, which need not be there.
pub fn append(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let whole = [fs::read(path).unwrap_or_default(), bytes.to_vec()].concat();
    fs::write(path, whole).unwrap();
}

fn text(dir: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let path = dir.join(file);
    let changed = change(fs::read_to_string(&path).unwrap());
    fs::write(path, changed).unwrap();
}

/// Lines of the journal as text.
fn raw(dir: &Path, change: impl FnOnce(&mut Vec<String>)) {
    text(dir, "journal.jsonl", |text| {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        change(&mut lines);
        lines.concat()
    });
}

/// A figure of the report is made nicer, and an insider seals all of it anew with the right key.
fn report(dir: &Path, change: impl FnOnce(&mut Value)) {
    let path = dir.join("report.json");
    let mut report: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut report);
    fs::write(path, format!("{report:#}\n")).unwrap();
    seal(dir, "team");
}

/// The event that a predicate finds, changed; the chain of lines holds again, the seal is the old one.
fn event(dir: &Path, key: &str, change: impl FnOnce(&mut Value)) {
    let mut events = lines(dir);
    let found = events.iter().position(|event| !event["what"][key].is_null()).unwrap();
    change(&mut events[found]);
    chained(dir, events);
}

const INSIDE: &[Cheat] = &[
    cheat("a byte of the journal", Kind::Changed, "journal.jsonl", Stock::Sums, |d| flip(&d.join("journal.jsonl"))),
    cheat("the journal removed", Kind::Missing, "journal.jsonl", Stock::Sums, |d| {
        fs::remove_file(d.join("journal.jsonl")).unwrap();
    }),
    cheat("a line edited", Kind::JournalBroken, "journal.jsonl", Stock::Sums, |d| {
        raw(d, |lines| lines[5] = lines[5].replacen("\"mono\":9", "\"mono\":8", 1));
    }),
    cheat("a line dropped", Kind::JournalBroken, "journal.jsonl", Stock::Sums, |d| raw(d, |l| drop(l.remove(7)))),
    cheat("two lines swapped", Kind::JournalBroken, "journal.jsonl", Stock::Sums, |d| raw(d, |l| l.swap(8, 9))),
    cheat("a line twice", Kind::JournalBroken, "journal.jsonl", Stock::Sums, |d| {
        raw(d, |lines| lines.insert(9, lines[9].clone()));
    }),
    cheat("an event after the end", Kind::JournalOrder, "journal.jsonl", Stock::Sums, |d| {
        let mut events = lines(d);
        let mut last = events.last().unwrap().clone();
        last["what"] = json!({"note": {"text": "all went well"}});
        events.push(last);
        chained(d, events);
    }),
    cheat("a torn tail", Kind::JournalTorn, "journal.jsonl", Stock::Sums, |d| {
        raw(d, |lines| lines.last_mut().unwrap().truncate(20));
    }),
    cheat("the end cut off", Kind::NeverEnded, "journal.jsonl", Stock::Sums, |d| raw(d, |lines| drop(lines.pop()))),
    cheat("the end cut off and counted right", Kind::ManifestHead, "MANIFEST.json", Stock::Signature, |d| {
        raw(d, |lines| drop(lines.pop()));
        let head = fs::read(d.join("journal.jsonl")).unwrap();
        edit_manifest(d, |m| {
            let entry = m["files"].as_array_mut().unwrap().iter_mut().find(|f| f["path"] == "journal.jsonl").unwrap();
            (entry["bytes"], entry["sha256"]) = (json!(head.len()), json!(sha256(&head)));
        });
        sums(d);
    }),
    cheat("an earlier recovery, lines chained anew", Kind::ManifestRoot, "MANIFEST.json", Stock::Sums, |d| {
        event(d, "fault_injected", |event| {
            event["what"]["fault_injected"]["span"]["hi"] = json!(9_118_745_000_000_i64)
        });
    }),
    cheat(
        "the environment renamed, lines chained anew",
        Kind::ManifestEnvironment,
        "MANIFEST.json",
        Stock::Sums,
        |d| {
            start(d, |start| start["environment"] = json!("production"));
        },
    ),
    cheat("a looser target, lines chained anew", Kind::Changed, "journal.jsonl", Stock::Sums, |d| {
        start(d, |start| start["objectives"][0]["target"] = json!(90_000_000_000_i64));
    }),
    cheat(
        "a looser target, all sealed anew without the key",
        Kind::SignatureBad,
        "SHA256SUMS.sig",
        Stock::Signature,
        |d| {
            start(d, |start| start["objectives"][0]["target"] = json!(90_000_000_000_i64));
            render(d);
            manifest(d, |_| ());
            attest(d);
            sums(d);
        },
    ),
    cheat("a looser target, sealed by a stranger", Kind::SignerUnknown, "SHA256SUMS.sig", Stock::Signature, |d| {
        start(d, |start| start["objectives"][0]["target"] = json!(90_000_000_000_i64));
        render(d);
        seal(d, "stranger");
    }),
    cheat("sealed by another of the team than announced", Kind::SignerOther, "SHA256SUMS.sig", Stock::Signature, |d| {
        seal(d, "reviewer");
    }),
    cheat("other parameters, reports as they were", Kind::ReportDiffers, "report.json", Stock::Neither, |d| {
        start(d, |start| start["params"]["rate"] = json!("50/s"));
        seal(d, "team");
    }),
    cheat("another host", Kind::ReportDiffers, "report.json", Stock::Neither, |d| {
        start(d, |start| start["host"]["host"] = json!("production-1"));
        seal(d, "team");
    }),
    cheat("a byte of an operations log", Kind::Operations, "ops/orders.ops", Stock::Sums, |d| {
        flip(&d.join("ops/orders.ops"))
    }),
    cheat("the end of an operations log", Kind::Operations, "ops/page.ops", Stock::Sums, |d| {
        let bytes = fs::read(d.join("ops/page.ops")).unwrap();
        fs::write(d.join("ops/page.ops"), &bytes[..bytes.len() - 700]).unwrap();
    }),
    cheat(
        "an operations log of another workload, sealed anew",
        Kind::Operations,
        "ops/page.ops",
        Stock::Neither,
        |d| {
            fs::copy(d.join("ops/orders.probe.ops"), d.join("ops/page.ops")).unwrap();
            seal(d, "team");
        },
    ),
    cheat("an operations log removed, sealed anew", Kind::Operations, "ops/orders.ops", Stock::Neither, |d| {
        fs::remove_file(d.join("ops/orders.ops")).unwrap();
        seal(d, "team");
    }),
    cheat(
        "a read-back that found everything",
        Kind::ReadBack,
        "ops/orders.readback-final-service.json",
        Stock::Neither,
        |d| {
            fs::write(d.join("ops/orders.readback-final-service.json"), "{}").unwrap();
            seal(d, "team");
        },
    ),
    cheat("the playbook swapped, sealed anew", Kind::PlaybookDigest, "playbook.yaml", Stock::Neither, |d| {
        text(d, "playbook.yaml", |text| text.replace("10s", "90s"));
        seal(d, "team");
    }),
    cheat("the resolved playbook swapped", Kind::PlaybookDigest, "playbook.resolved.yaml", Stock::Sums, |d| {
        append(&d.join("playbook.resolved.yaml"), b"# and more\n");
    }),
    cheat("the playbook removed, sealed anew", Kind::PlaybookDigest, "playbook.yaml", Stock::Neither, |d| {
        fs::remove_file(d.join("playbook.yaml")).unwrap();
        seal(d, "team");
    }),
    cheat("report.json changed", Kind::Changed, "report.json", Stock::Sums, |d| flip(&d.join("report.json"))),
    cheat("report.html changed", Kind::Changed, "report.html", Stock::Sums, |d| {
        append(&d.join("report.html"), b"<!-- x -->")
    }),
    cheat("report.html nicer, sealed anew", Kind::ReportDiffers, "report.html", Stock::Neither, |d| {
        text(d, "report.html", |text| text.replacen("292", "192", 1));
        seal(d, "team");
    }),
    cheat("report.md nicer, sealed anew", Kind::ReportDiffers, "report.md", Stock::Neither, |d| {
        append(&d.join("report.md"), b"\nAll is well.\n");
        seal(d, "team");
    }),
    cheat("junit.xml nicer, sealed anew", Kind::ReportDiffers, "junit.xml", Stock::Neither, |d| {
        text(d, "junit.xml", |text| text.replacen("failures=\"0\"", "failures=\"1\"", 1));
        seal(d, "team");
    }),
    cheat("report.html removed, sealed anew", Kind::ReportMissing, "report.html", Stock::Neither, |d| {
        fs::remove_file(d.join("report.html")).unwrap();
        seal(d, "team");
    }),
    cheat("VERIFY.md changed", Kind::Changed, "VERIFY.md", Stock::Sums, |d| {
        append(&d.join("VERIFY.md"), b"Trust me.\n")
    }),
    cheat("VERIFY.md removed", Kind::Missing, "VERIFY.md", Stock::Sums, |d| {
        fs::remove_file(d.join("VERIFY.md")).unwrap()
    }),
    cheat("a file added", Kind::Added, "ops/extra.json", Stock::Neither, |d| {
        fs::write(d.join("ops/extra.json"), "{}").unwrap()
    }),
    cheat("a hidden file added", Kind::Added, ".note", Stock::Neither, |d| fs::write(d.join(".note"), "").unwrap()),
    cheat("a link in place of a file", Kind::Link, "report.html", Stock::Neither, |d| {
        let outside = d.join("../outside.html");
        fs::rename(d.join("report.html"), &outside).unwrap();
        std::os::unix::fs::symlink("../outside.html", d.join("report.html")).unwrap();
    }),
    cheat("a pipe in place of a log", Kind::Special, "ops/page.ops", Stock::Neither, |d| {
        fs::remove_file(d.join("ops/page.ops")).unwrap();
        nix::unistd::mkfifo(&d.join("ops/page.ops"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }),
    cheat("a path that leads out", Kind::BadPath, "MANIFEST.json", Stock::Signature, |d| {
        edit_manifest(d, |m| m["files"][0]["path"] = json!("../../etc/passwd"));
        sums(d);
    }),
    cheat("manifest: another run", Kind::ManifestRun, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "run", json!("20261121T000000Z-other"))
    }),
    cheat("manifest: another drill", Kind::ManifestDrill, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "drill", json!("other"))
    }),
    cheat("manifest: another environment", Kind::ManifestEnvironment, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "environment", json!("production"));
    }),
    cheat("manifest: another exit code", Kind::ManifestExitCode, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "exit_code", json!(1))
    }),
    cheat("manifest: another head", Kind::ManifestHead, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "journal_head", json!("0".repeat(64)));
    }),
    cheat("manifest: another root", Kind::ManifestRoot, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "journal_root", json!("0".repeat(64)));
    }),
    cheat("manifest: fewer lines", Kind::ManifestLines, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "journal_lines", json!(3))
    }),
    cheat("manifest: another place", Kind::ManifestChain, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "chain", json!({"counter": 7}));
    }),
    cheat("manifest: no place", Kind::ManifestChain, "MANIFEST.json", Stock::Neither, |d| {
        field(d, "chain", Value::Null)
    }),
    cheat("manifest: a file not listed", Kind::NotInManifest, "report.md", Stock::Neither, |d| {
        edit_manifest(d, |m| m["files"].as_array_mut().unwrap().retain(|f| f["path"] != "report.md"));
        seal_with_manifest(d, "team");
    }),
    cheat("manifest: edited alone", Kind::Changed, "MANIFEST.json", Stock::Sums, |d| {
        edit_manifest(d, |m| m["exit_code"] = json!(2))
    }),
    cheat("manifest: no JSON", Kind::ManifestMalformed, "MANIFEST.json", Stock::Sums, |d| {
        fs::write(d.join("MANIFEST.json"), "x").unwrap();
    }),
    cheat("manifest: removed", Kind::Missing, "MANIFEST.json", Stock::Sums, |d| {
        fs::remove_file(d.join("MANIFEST.json")).unwrap()
    }),
    cheat(
        "attestation of another manifest",
        Kind::AttestationSubject,
        "attestation.intoto.jsonl",
        Stock::Neither,
        |d| {
            let there = fs::read(d.join("MANIFEST.json")).unwrap();
            edit_manifest(d, |m| m["exit_code"] = json!(4));
            attest(d);
            fs::write(d.join("MANIFEST.json"), there).unwrap();
            sums(d);
            sign(&d.join("SHA256SUMS"), &shop().key("team"), "drill-evidence");
        },
    ),
    cheat("sums: a line removed", Kind::NotInSums, "report.html", Stock::Signature, |d| {
        text(d, "SHA256SUMS", |t| {
            t.lines().filter(|l| !l.ends_with("report.html")).map(|l| format!("{l}\n")).collect()
        });
    }),
    cheat("sums: a digest edited", Kind::SumsDisagree, "SHA256SUMS", Stock::Sums, |d| {
        let digest = sha256(&fs::read(d.join("report.html")).unwrap());
        text(d, "SHA256SUMS", |t| t.replace(&digest, &"0".repeat(64)));
    }),
    cheat("sums: no list", Kind::SumsMalformed, "SHA256SUMS", Stock::Sums, |d| {
        fs::write(d.join("SHA256SUMS"), "hello\n").unwrap()
    }),
    cheat("sums: removed", Kind::Missing, "SHA256SUMS", Stock::Sums, |d| {
        fs::remove_file(d.join("SHA256SUMS")).unwrap()
    }),
    cheat("signature: removed", Kind::SignatureMissing, "SHA256SUMS.sig", Stock::Signature, |d| {
        fs::remove_file(d.join("SHA256SUMS.sig")).unwrap();
    }),
    cheat("signature: by a stranger", Kind::SignerUnknown, "SHA256SUMS.sig", Stock::Signature, |d| {
        sign(&d.join("SHA256SUMS"), &shop().key("stranger"), "drill-evidence");
    }),
    cheat("signature: for another purpose", Kind::SignatureNamespace, "SHA256SUMS.sig", Stock::Signature, |d| {
        sign(&d.join("SHA256SUMS"), &shop().key("team"), "git");
    }),
    cheat("signature: over another file", Kind::SignatureBad, "SHA256SUMS.sig", Stock::Signature, |d| {
        let elsewhere = d.join("../another");
        fs::copy(d.join("MANIFEST.json"), &elsewhere).unwrap();
        sign(&elsewhere, &shop().key("team"), "drill-evidence");
        fs::rename(d.join("../another.sig"), d.join("SHA256SUMS.sig")).unwrap();
    }),
    cheat("signature: cut off", Kind::SignatureBad, "SHA256SUMS.sig", Stock::Signature, |d| {
        text(d, "SHA256SUMS.sig", |text| text[..text.len() / 2].to_owned());
    }),
    cheat("addendum: edited", Kind::AddendumSignature, "addenda/0001-review.json.sig", Stock::Neither, |d| {
        addendum(d, 1, |_| ());
        text(d, "addenda/0001-review.json", |text| text.replace("accepted", "rejected"));
    }),
    cheat("addendum: the first removed", Kind::AddendumNumber, "addenda/0002-review.json", Stock::Neither, |d| {
        (1..=2).for_each(|number| addendum(d, number, |_| ()));
        fs::remove_file(d.join("addenda/0001-review.json")).unwrap();
        fs::remove_file(d.join("addenda/0001-review.json.sig")).unwrap();
    }),
    cheat(
        "addendum: one edited, and the next does not follow",
        Kind::AddendumChain,
        "addenda/0002-review.json",
        Stock::Neither,
        |d| {
            (1..=2).for_each(|number| addendum(d, number, |_| ()));
            addendum(d, 1, |addendum| addendum["by"] = json!("somebody else"));
        },
    ),
    cheat(
        "addendum: removed, its signature left",
        Kind::AddendumNumber,
        "addenda/0001-review.json.sig",
        Stock::Neither,
        |d| {
            addendum(d, 1, |_| ());
            fs::remove_file(d.join("addenda/0001-review.json")).unwrap();
        },
    ),
    cheat("addendum: renumbered", Kind::AddendumNumber, "addenda/0002-review.json", Stock::Neither, |d| {
        addendum(d, 1, |_| ());
        for end in ["json", "json.sig"] {
            fs::rename(d.join(format!("addenda/0001-review.{end}")), d.join(format!("addenda/0002-review.{end}")))
                .unwrap();
        }
    }),
    cheat("addendum: of another run", Kind::AddendumRun, "addenda/0001-review.json", Stock::Neither, |d| {
        addendum(d, 1, |addendum| addendum["run"] = json!("20261101T000000Z-good"));
    }),
    cheat("addendum: of another manifest", Kind::AddendumRun, "addenda/0001-review.json", Stock::Neither, |d| {
        addendum(d, 1, |addendum| addendum["manifest"] = json!("0".repeat(64)));
    }),
    cheat("addendum: by a stranger", Kind::AddendumSignature, "addenda/0001-review.json.sig", Stock::Neither, |d| {
        addendum(d, 1, |_| ());
        sign(&d.join("addenda/0001-review.json"), &shop().key("stranger"), "drill-evidence");
    }),
    cheat("addendum: no such thing", Kind::AddendumMalformed, "addenda/0001-review.json", Stock::Neither, |d| {
        addendum(d, 1, |addendum| addendum["schema"] = json!("a letter"));
    }),
    cheat("a file hidden among addenda", Kind::Added, "addenda/readme.txt", Stock::Neither, |d| {
        fs::create_dir_all(d.join("addenda")).unwrap();
        fs::write(d.join("addenda/readme.txt"), "x").unwrap();
    }),
];

fn field(dir: &Path, name: &str, value: Value) {
    edit_manifest(dir, |manifest| {
        if value.is_null() {
            manifest.as_object_mut().unwrap().remove(name);
        } else {
            manifest[name] = value;
        }
    });
    seal_with_manifest(dir, "team");
}

/// Each cheat in its folder of its own; half of them on each of two threads.
fn each(cheats: &[Cheat], tell: impl Fn(&Cheat) -> Option<String> + Sync) {
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let tell = &tell;
        let handles: Vec<_> = cheats
            .chunks(cheats.len().div_ceil(2))
            .map(|half| scope.spawn(move || half.iter().filter_map(tell).collect::<Vec<_>>()))
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cheats.len(), wrong.join("\n"));
}

#[test]
fn every_cheat_is_caught_and_named() {
    assert!(INSIDE.len() >= 40, "{}", INSIDE.len());
    each(INSIDE, |cheat| {
        let around = tempfile::tempdir().unwrap();
        let dir = around.path().join(RUN);
        copy(&shop().sealed(), &dir);
        (cheat.act)(&dir);
        let verified = if cheat.kind.area() == blackstart::evidence::verify::Area::Reports
            || cheat.kind == Kind::ManifestExitCode
        {
            checked(&dir)
        } else {
            checked_fast(&dir)
        };
        let stock = match cheat.stock {
            Stock::Sums => !sums_hold(&dir),
            Stock::Signature => !signature_holds(&dir),
            Stock::Neither => signature_holds(&dir),
        };
        let named = names(&verified, cheat.kind, cheat.file);
        (!named || !stock).then(|| {
            let found: Vec<_> =
                doubts(&verified).iter().map(|f| format!("{:?} {}: {}", f.kind, f.file, f.what)).collect();
            format!(
                "{}: named {named}, stock tools {stock} ({:?})\n    {}",
                cheat.name,
                cheat.stock,
                found.join("\n    ")
            )
        })
    });
}

/// Every figure that other programs rely on, made nicer and sealed anew with the right key.
#[test]
fn a_nicer_figure_in_the_report_is_named_by_its_place() {
    let pointers: &[(&str, Value)] = &[
        ("/run/id", json!("20261121T041443Z-other")),
        ("/run/drill", json!("other")),
        ("/run/environment", json!("production")),
        ("/run/started", json!("2026-11-20T04:14:43.301Z")),
        ("/run/state", json!("aborted")),
        ("/run/verdict", json!("fail")),
        ("/run/exit_code", json!(1)),
        ("/run/reasons", json!(["none"])),
        ("/objectives/0/target", json!(99.0)),
        ("/objectives/0/actual/high", json!(0.001)),
        ("/objectives/0/verdict", json!("fail")),
        ("/objectives/3/actual/best", json!(0)),
        ("/workloads/orders/operations/fail", json!(0)),
        ("/workloads/orders/downtime/outages", json!(0)),
        ("/workloads/orders/ledger/lost", json!(0)),
        ("/timeline/0/at/best", json!(-1.0)),
        ("/steps/0/verdict", json!("fail")),
        ("/faults/0/healed", json!(false)),
    ];
    // One computation tells all: what is compared does not depend on what differs.
    let run = copied();
    report(run.path(), |report| {
        for (pointer, value) in pointers {
            let there = report.pointer_mut(pointer).unwrap_or_else(|| panic!("the sample has no {pointer}"));
            assert_ne!(there, value, "{pointer}");
        }
    });
    let stored = blackstart::journal::read(run.path()).unwrap();
    let rendered = blackstart::cli::recomputed(run.path(), stored).unwrap();
    for (pointer, value) in pointers {
        report(run.path(), |report| {
            *report = serde_json::from_str(&rendered.reports[0].1).unwrap();
            *report.pointer_mut(pointer).unwrap() = value.clone();
        });
        let again = |_: &Path, _: blackstart::journal::Stored| {
            let reports = rendered.reports.clone();
            let (exit_code, word, tool) = (rendered.exit_code, rendered.word.clone(), rendered.tool.clone());
            Ok(blackstart::evidence::verify::Rendered { exit_code, word, tool, reports })
        };
        let policy = blackstart::evidence::verify::Policy { recompute: Some(&again), ..Default::default() };
        let verified = blackstart::evidence::verify::verify(&[run.path().to_owned()], &policy);
        let found = doubts(&verified);
        let named = found.iter().any(|f| f.kind == Kind::ReportDiffers && f.what.contains(&format!("{pointer} is")));
        assert!(named || pointer.ends_with("reasons"), "{pointer}: {found:?}");
        assert!(names(&verified, Kind::ReportDiffers, "report.json"), "{pointer}");
    }
}

#[test]
fn runs_that_nobody_touched_are_whole() {
    let run = copied();
    let verified = checked(run.path());
    assert_eq!(doubts(&verified), Vec::<&blackstart::evidence::verify::Finding>::new());
    assert!(sums_hold(run.path()) && signature_holds(run.path()));
    assert_eq!((verified.runs[0].exit_code, verified.runs[0].signer.as_deref()), (Some(0), Some("team@example.org")));
    (1..=3).for_each(|number| addendum(run.path(), number, |_| ()));
    assert!(doubts(&checked_fast(run.path())).is_empty());

    // Whoever sealed it may not be the second person.
    sign(&run.path().join("addenda/0003-review.json"), &shop().key("team"), "drill-evidence");
    let verified = checked_fast(run.path());
    assert!(doubts(&verified).is_empty(), "{:?}", doubts(&verified));
    let same: Vec<&str> = verified.runs[0]
        .findings
        .iter()
        .filter(|finding| finding.kind == Kind::AddendumSameKey)
        .map(|finding| finding.file.as_str())
        .collect();
    assert_eq!(same, ["addenda/0003-review.json"]);

    // One that was written before runs had a place among others is not sealed, and all else holds.
    let sample = checked(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/sample")));
    let kinds: Vec<Kind> = doubts(&sample).iter().map(|finding| finding.kind).collect();
    assert!(kinds.is_empty() || kinds == [Kind::Unsealed], "{kinds:?}");
}

/// Reports of another version may have other bytes; what both versions know is compared all the same.
#[test]
fn a_run_of_another_version_is_whole_if_its_figures_are() {
    let run = copied();
    start(run.path(), |start| start["host"]["tool"] = json!("blackstart 0.0.9"));
    render(run.path());
    append(&run.path().join("report.html"), b"<!-- an older footer -->");
    report(run.path(), |report| {
        report["run"].as_object_mut().unwrap().remove("waivers");
        report["weather"] = json!("fine");
    });
    let verified = checked(run.path());
    assert!(doubts(&verified).is_empty(), "{:?}", doubts(&verified));
    let remark = verified.runs[0].findings.iter().find(|f| f.kind == Kind::OtherVersion).unwrap();
    assert!(remark.what.contains("written by blackstart 0.0.9, this is blackstart"), "{}", remark.what);
    report(run.path(), |report| report["workloads"]["orders"]["ledger"]["lost"] = json!(0));
    let verified = checked(run.path());
    assert!(names(&verified, Kind::ReportDiffers, "report.json"), "{verified:?}");
}

/// A run whose runner died and that another process ended, with a torn tail noted.
#[test]
fn a_run_that_was_recovered_and_sealed_is_whole() {
    let run = copied();
    let mut events = lines(run.path());
    let mut end = events.pop().unwrap();
    let mut noted = |what: Value| {
        end["what"] = what;
        events.push(end.clone());
    };
    noted(json!({"note": {"text": "the journal had a torn tail: 12 bytes"}}));
    noted(json!({"taken_over": {"by": "recover", "why": "its runner is gone"}}));
    noted(json!({"run_ended": {"state": "aborted", "open": [], "error": null}}));
    chained(run.path(), events);
    render(run.path());
    seal(run.path(), "team");
    let verified = checked(run.path());
    assert!(doubts(&verified).is_empty(), "{:?}", doubts(&verified));
    assert_eq!(verified.runs[0].exit_code, Some(4));
}

fn asked(dir: &Path, more: &[&str]) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("verify")
        .arg(dir)
        .args(more)
        .env("COLUMNS", "110")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
}

#[test]
fn the_command_says_so_and_ends_so() {
    let allowed = shop().allowed();
    let signers = ["--allowed-signers", allowed.to_str().unwrap()];
    let strict = [&signers[..], &["--require", "signed,chained"]].concat();
    let run = copied();
    let (code, text) = asked(run.path(), &strict);
    assert!(code == 0 && text.lines().count() <= 25, "{text}");
    assert!(text.lines().last().unwrap().starts_with("✓ VERIFIED: 1 run"), "{text}");
    for words in ["team@example.org", "computed again", "run 1, the first of its chain", "all as the manifest"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Without a list nobody knows whose key it is; that is told, and is enough only if no signature is asked for.
    assert_eq!(asked(run.path(), &["--no-recompute"]).0, 0);
    assert_eq!(asked(run.path(), &["--no-recompute", "--require", "signed"]).0, 2);
    // What cannot be read is wrong usage.
    assert_eq!(asked(run.path(), &["--allowed-signers", "/nowhere"]).0, 64);
    assert_eq!(asked(&run.path().join("ops"), &[]).0, 64);

    report(run.path(), |report| report["run"]["verdict"] = json!("fail"));
    let (code, text) = asked(run.path(), &strict);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("/run/verdict is \"fail\"") && text.contains("✗ BROKEN: 1 of 1 run is not"), "{text}");

    let json = asked(run.path(), &["--output", "json"]);
    let answer: Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!((json.0, &answer["exit_code"], &answer["level"]), (1, &json!(1), &json!("broken")));
    let found = &answer["runs"][0]["findings"][0];
    assert_eq!((&found["kind"], &found["file"]), (&json!("report_differs"), &json!("report.json")));

    // What a later version wrote cannot be verified, and is not called tampered with.
    let later = copied();
    edit_manifest(later.path(), |manifest| manifest["schema"] = json!("blackstart/manifest/v2"));
    sums(later.path());
    sign(&later.path().join("SHA256SUMS"), &shop().key("team"), "drill-evidence");
    let (code, text) = asked(later.path(), &signers);
    assert!(code == 2 && text.contains("blackstart/manifest/v2"), "{text}");
}
