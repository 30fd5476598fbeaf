//! The last look at a run's folder before it is sealed: what is said, and how the run ends, when a secret stands in it.

use super::{Complaint, Exit};
use crate::evidence::scan::{self, Leak};
use crate::redact::Forms;
use std::path::Path;

/// So many leaks are named; the file has all of them.
const NAMED: usize = 5;

/// Searches a run's folder. A folder in which a secret stands is marked, and must not be sealed.
///
/// # Errors
/// What was found and what to do, without the secret; or why nobody knows.
pub fn search(dir: &Path, secrets: &Forms) -> Result<(), Complaint> {
    let leaks = scan::scan(dir, secrets).map_err(|e| {
        Complaint::new(Exit::Internal, format!("not sealed: {e}")).mend("make it readable, then seal it again")
    })?;
    let marked = dir.join(scan::UNSEALED);
    if leaks.is_empty() {
        // Who looked before may have known more secrets.
        let what = format!("not sealed: {} says that a secret stood in it", marked.display());
        return if marked.exists() { Err(Complaint::new(Exit::Internal, what).mend(scan::MEND)) } else { Ok(()) };
    }
    let complaint = Complaint::new(Exit::Internal, in_words(&leaks)).mend(scan::MEND);
    match scan::mark(dir, &leaks) {
        Ok(()) => Err(complaint),
        Err(why) => {
            let what = format!("{}; and {} cannot be written: {why}", in_words(&leaks), marked.display());
            Err(Complaint::new(Exit::Internal, what).mend(scan::MEND))
        }
    }
}

fn in_words(leaks: &[Leak]) -> String {
    let mut lines = vec!["not sealed: a secret stands in the run's folder".to_owned()];
    lines.extend(leaks.iter().take(NAMED).map(|leak| format!("  {leak}")));
    if leaks.len() > NAMED {
        lines.push(format!("  and {} more, listed in {}", leaks.len() - NAMED, scan::UNSEALED));
    }
    lines.join("\n")
}
