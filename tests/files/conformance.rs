//! The conformance suite of ledgers, against real files that are broken on purpose with an editor's means. (The simulation
//! goes through the same suite in the tests of Redis.)

use crate::adapter::{Ledger, WAYS, place, settings};
use crate::common::until;
use crate::suite::{Clerk, books};
use crate::volume::Volume;
use blackstart::adapters::ClientSettings;
use blackstart::adapters::directory::records;
use blackstart::clock::Clock;
use blackstart::model::{FileLayout, Key, Outcome};
use blackstart::sim::Books;
use blackstart::workloads::payload;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a record's line begins.
fn begins(writer: u16, seq: u64) -> String {
    format!("{writer:05} {seq:012} ")
}

/// The file that a record stands in, if it is there.
fn file_of(run: &Path, writer: u16, seq: u64) -> Option<PathBuf> {
    let files = std::fs::read_dir(run).unwrap().flatten().map(|entry| entry.path());
    let begins = begins(writer, seq);
    let holds = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // One that is gone since the folder was read was a file on its way to another name.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        name.starts_with(['w', 'g', 'r']) && text.lines().any(|line| line.starts_with(&begins))
    };
    files.into_iter().find(holds)
}

/// Puts others in the place of a record's lines, in place: whoever has the file open goes on.
fn tamper(run: &Path, writer: u16, seq: u64, change: impl Fn(&str) -> String) {
    let file = file_of(run, writer, seq).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let begins = begins(writer, seq);
    let changed = text.split_inclusive('\n').map(|line| match line.starts_with(&begins) {
        true => change(line),
        false => line.to_owned(),
    });
    let changed: String = changed.collect();
    if changed.is_empty() {
        std::fs::remove_file(file).unwrap();
    } else {
        std::fs::write(file, changed).unwrap();
    }
}

fn damaged(line: &str) -> String {
    let at = 30;
    let digit = if &line[at..=at] == "A" { "B" } else { "A" };
    format!("{}{digit}{}", &line[..at], &line[at + 1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn real_files_that_are_broken_on_purpose_show_every_class() {
    let volume = Volume::ext4();
    for (number, (fsync, layout, behaviour)) in WAYS.into_iter().enumerate() {
        let path = volume.path().join(number.to_string());
        let (run, aside) = (path.join("blackstart_ledger/run-1"), path.join("aside"));
        std::fs::create_dir(&path).unwrap();
        let place = place(&path, fsync, layout);
        let kept_open = behaviour == blackstart::model::ClientBehaviour::Pooled;
        let settings = ClientSettings { timeout: Duration::from_secs(1), ..settings("run-1", behaviour) };
        let ledger = Ledger::open(&place, &settings);
        ledger.store.prepare().await.unwrap();
        let mut clerk = Clerk::new(ledger.client, Clock::System);
        for seq in 0..60 {
            for writer in 0..4 {
                assert_eq!(clerk.write(writer, seq).await, Outcome::Ok, "{place:?}");
            }
        }
        // Refused, for where it belongs is not there; and there all the same.
        let mut refused = 0;
        if !kept_open {
            std::fs::rename(path.join("blackstart_ledger"), &aside).unwrap();
            assert_eq!((clerk.write(3, 60).await, clerk.write(3, 61).await), (Outcome::Fail, Outcome::Fail));
            std::fs::rename(&aside, path.join("blackstart_ledger")).unwrap();
            let key = Key { writer: 3, seq: 61 };
            let line = records::line(key, 1, &payload::payload(&settings.run, key, 100));
            let name = match layout {
                FileLayout::Segments => "w00003.9998-0001".to_owned(),
                FileLayout::Files => records::record_name(key, 1),
            };
            std::fs::write(run.join(name), line).unwrap();
            refused = 1;
        }
        // Handed over, and never answered; one of them is lost later.
        volume.freeze();
        assert_eq!((clerk.write(0, 60).await, clerk.write(1, 60).await), (Outcome::Unknown, Outcome::Unknown));
        volume.thaw();
        until("both are carried out", || (0..2).all(|writer| file_of(&run, writer, 60).is_some()));
        tamper(&run, 1, 60, |_| String::new());
        for seq in 10..17 {
            tamper(&run, 0, seq, |_| String::new());
        }
        for seq in 30..33 {
            tamper(&run, 2, seq, damaged);
        }
        // A file that one record has for itself cannot hold it twice.
        let twice = if layout == FileLayout::Segments { 5 } else { 0 };
        for seq in 20..20 + twice {
            tamper(&run, 1, seq, |line| line.repeat(2));
        }
        // Somebody else's, and what is no record at all.
        let strange = format!("{}00001 eA== 0123456789abcdef\n", begins(9, 0));
        std::fs::write(run.join("w00003.9999-0001"), strange).unwrap();
        std::fs::write(run.join("notes.txt"), "hello").unwrap();

        let verified = clerk.settle(&*ledger.store, &settings).await;
        let expected = Books {
            acked: 240,
            kept: 240 - 7 - 3,
            lost: 7,
            unknown_present: 1,
            unknown_absent: 1,
            resurrected: refused,
            duplicated: twice,
            corrupted: 3,
        };
        assert_eq!(books(&verified), expected, "{place:?}");
        assert_eq!((verified.phantom, verified.duplicated_by_server, verified.reordered), (2, twice, 0), "{place:?}");
        assert_eq!(verified.lost_runs, BTreeMap::from([(0, vec![(10, 16)])]), "{place:?}");
    }
}
