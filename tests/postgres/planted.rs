//! A ledger in which everything went wrong that can, for stores that are not made up: what its clients were told, and the
//! rows to plant; and what reading every one of them finds, by a program that shares no code with the crate's.

use blackstart::adapters::{ClientSettings, LedgerStore, Row};
use blackstart::event::{ReadBack, WriterFindings};
use blackstart::ledger::{Keep, Ledger};
use blackstart::model::{ClientBehaviour, Key, Mono, Outcome};
use blackstart::workloads::payload::payload;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SIZE: usize = 24;

/// Of the planted ledger.
pub fn settings() -> ClientSettings {
    ClientSettings {
        run: "planted".into(),
        behaviour: ClientBehaviour::Pooled,
        timeout: Duration::from_secs(30),
        writers: 4,
        payload: SIZE as u64,
        rate: 100.0,
    }
}

/// The payload that a row must have.
pub fn intact(key: Key) -> Vec<u8> {
    payload(&settings().run, key, SIZE)
}

fn row(writer: u16, seq: u64) -> Row {
    let key = Key { writer, seq };
    Row { key: Ok(key), attempt: 1, payload: intact(key) }
}

/// What clients were told, and the rows in the server's order.
pub fn planted() -> (Ledger, Vec<Row>) {
    let mut ledger = Ledger::new(Keep::Outcomes);
    let mut told = |writer, seq, outcome| ledger.record(Key { writer, seq }, outcome, Mono(0), Mono(1));
    let mut rows: Vec<Row> = Vec::new();
    // Lost in its first block; everything in doubt, twice, torn or never written in its third.
    for seq in 0..9_000 {
        told(0, seq, if (8_200..8_204).contains(&seq) { Outcome::Unknown } else { Outcome::Ok });
        match seq {
            100..120 | 8_200 | 8_201 => {}
            8_300 => rows.extend([row(0, seq), row(0, seq)]),
            8_301 => rows.extend([row(0, seq), Row { attempt: 2, ..row(0, seq) }]),
            8_400 => rows.push(Row { payload: vec![7], ..row(0, seq) }),
            _ => rows.push(row(0, seq)),
        }
    }
    rows.push(row(0, 9_500));
    // Whole blocks, and one with definite failures that are absent.
    for seq in 0..12_500 {
        let failed = (4_100..4_110).contains(&seq);
        told(1, seq, if failed { Outcome::Fail } else { Outcome::Ok });
        rows.extend((!failed).then(|| row(1, seq)));
    }
    // Two numbers the wrong way round, and a number ahead of the block before it.
    let mut seqs: Vec<u64> = (0..8_192).collect();
    seqs.swap(900, 901);
    seqs.remove(4_096);
    seqs.insert(4_094, 4_096);
    seqs.iter().for_each(|seq| told(2, *seq, Outcome::Ok));
    rows.extend(seqs.into_iter().map(|seq| row(2, seq)));
    // One lost and another twice: as many rows as there should be. And one that was refused.
    for seq in 0..4_200 {
        told(3, seq, if seq == 4_150 { Outcome::Fail } else { Outcome::Ok });
        rows.extend((seq != 50).then(|| row(3, seq)));
        rows.extend((seq == 51).then(|| row(3, seq)));
    }
    // A writer that there is not.
    rows.push(row(9, 3));
    (ledger, rows)
}

/// Reads every row and says what is there.
pub async fn every_row(store: &dyn LedgerStore) -> ReadBack {
    let mut rows: Vec<Row> = Vec::new();
    store.read_back(&mut |row| rows.push(row)).await.unwrap();
    let mut back = ReadBack::default();
    let mut seen: BTreeMap<u16, BTreeMap<u64, Vec<u32>>> = BTreeMap::new();
    for row in rows {
        let key = match row.key {
            Ok(key) if key.writer < 4 => key,
            other => {
                back.phantom_count += 1;
                back.phantoms.push(other.map_or_else(|text| text, |k| format!("writer {} seq {}", k.writer, k.seq)));
                continue;
            }
        };
        let writer = seen.entry(key.writer).or_default();
        let findings = back.writers.entry(key.writer).or_default();
        let behind = writer.keys().next_back().is_some_and(|highest| *highest > key.seq);
        if behind && !writer.contains_key(&key.seq) {
            findings.reordered.push(key.seq);
        }
        if row.payload != intact(key) {
            findings.corrupted.push(key.seq);
        }
        writer.entry(key.seq).or_default().push(row.attempt);
    }
    for (writer, seqs) in seen {
        let findings = back.writers.entry(writer).or_default();
        summarize(findings, &seqs);
    }
    back
}

fn summarize(findings: &mut WriterFindings, seqs: &BTreeMap<u64, Vec<u32>>) {
    findings.corrupted = findings.corrupted.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    for (seq, attempts) in seqs {
        match findings.present.last_mut() {
            Some((_, to)) if *to + 1 == *seq => *to = *seq,
            _ => findings.present.push((*seq, *seq)),
        }
        if attempts.len() > 1 {
            let same = attempts.iter().filter(|a| attempts.iter().filter(|b| a == b).count() > 1).count();
            findings.duplicated.push((*seq, attempts.len() as u32, same as u32));
        }
    }
}

/// The three levels must find what reading every row finds, and read few rows for it.
pub async fn levels_find_the_same(store: &dyn LedgerStore, ledger: Ledger, planted: usize) {
    let truth = every_row(store).await;
    let of = |writer: u16| &truth.writers[&writer];
    assert_eq!(of(0).duplicated, [(8_300, 2, 2), (8_301, 2, 0)], "the store kept what was planted");
    assert_eq!((of(0).corrupted.as_slice(), of(3).duplicated.as_slice()), (&[8_400][..], &[(51, 2, 2)][..]));
    assert_eq!((of(2).reordered.as_slice(), truth.phantom_count), (&[900, 4_094, 4_095][..], 1));
    let levels = blackstart::exec::sampler::levels::read_back;
    let (found, asked) = levels(store, &settings(), ledger.clone(), 0).await.unwrap();
    assert_eq!(found, truth);
    assert!(asked.blocks == 12 && asked.rows < planted as u64 * 2 / 3, "{asked:?}");
    // A store with few rows is read whole, and so is one that is not as expected anywhere.
    let (found, asked) = levels(store, &settings(), ledger, u64::MAX).await.unwrap();
    assert_eq!((found, asked.rows), (truth.clone(), planted as u64));
    let (found, asked) = levels(store, &settings(), Ledger::new(Keep::Outcomes), 0).await.unwrap();
    assert_eq!((found, asked.rows), (truth, planted as u64));
}
