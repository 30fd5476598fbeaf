//! Timestamps (RFC 3161): whether they are of the bytes that lie here, and, where a certificate of an authority was given,
//! whether it signed them.

use super::files::{Files, load};
use super::finding::{Area, Checked, Finding, Kind, Level};
use super::{Policy, Requirement};
use crate::evidence::{stamp, sums};
use crate::journal;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// No start record is longer.
const LONGEST: u64 = 64 << 20;

/// What came of asking whether an authority signed a timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// It did.
    Signed,
    /// It did not, and why that is believed.
    Refused(String),
    /// Nobody could tell, and why.
    Undecided(String),
}

/// Asks whether an authority signed the timestamp in the second file over the bytes of the first.
pub type AskAuthority<'a> = dyn Fn(&Path, &Path) -> Authority + Sync + 'a;

/// Checks the timestamp over the seal, and the one over the start record.
pub(super) fn check(dir: &Path, files: &Files, policy: &Policy<'_>, seen: &mut Checked) {
    let of = if files.contains_key(sums::SIGNATURE) { sums::SIGNATURE } else { sums::FILE };
    if files.contains_key(sums::STAMP) {
        let bytes = load(dir, files, of).unwrap_or_default();
        if imprint(dir, files, (sums::STAMP, of), &bytes, seen) {
            authority((&dir.join(of), of), (&dir.join(sums::STAMP), sums::STAMP), policy, seen);
        }
    } else {
        let level = if policy.requires(Requirement::Stamped) { Level::Unverifiable } else { Level::Remark };
        let what = "no timestamp: that the run is as old as it says is only said";
        seen.findings.push(Finding::new(Kind::Unstamped, "", what).at(level));
    }
    if files.contains_key(stamp::START) {
        let first = first_line(dir, files).unwrap_or_default();
        let of = "the first line of journal.jsonl";
        if imprint(dir, files, (stamp::START, of), &first, seen) && !seen.doubts(Area::Timestamp) {
            seen.good(Area::Timestamp, format!("{} is of {of}", stamp::START));
        }
    }
}

/// The start record as it was written, its line break included.
fn first_line(dir: &Path, files: &Files) -> Option<Vec<u8>> {
    files.get(journal::FILE)?;
    let (file, mut line) = (File::open(dir.join(journal::FILE)).ok()?, Vec::new());
    BufReader::new(file).take(LONGEST).read_until(b'\n', &mut line).ok()?;
    Some(line)
}

/// Is the timestamp of these bytes?
fn imprint(dir: &Path, files: &Files, (file, of): (&str, &str), bytes: &[u8], seen: &mut Checked) -> bool {
    let answer = load(dir, files, file).unwrap_or_default();
    match stamp::granted(&answer, bytes) {
        Ok(()) => true,
        Err(why) => {
            seen.find(Kind::StampMismatch, file, format!("no timestamp of {of}: {why}"));
            false
        }
    }
}

fn authority((data, of): (&Path, &str), (stamp, file): (&Path, &str), policy: &Policy<'_>, seen: &mut Checked) {
    let Some(ask) = policy.authority else {
        let what = format!("it is of {of}; the authority's signature is not checked, --tsa-ca FILE does");
        let level = if policy.requires(Requirement::Stamped) { Level::Unverifiable } else { Level::Remark };
        seen.findings.push(Finding::new(Kind::StampUnchecked, file, what).at(level));
        return;
    };
    match ask(data, stamp) {
        Authority::Signed => seen.good(Area::Timestamp, format!("of {of}, signed by the authority")),
        Authority::Refused(why) => seen.find(Kind::StampRefused, file, why),
        Authority::Undecided(why) => seen.find(Kind::StampUndecided, file, why),
    }
}
