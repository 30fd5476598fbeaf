//! `blackstart analyze`: computes everything again from a run's folder, without any network, and says whether the
//! reports that lie there are the same, byte for byte. Works on a record that was cut off, too.

use super::evidence::{self, Judged, Same};
use super::terminal::width;
use super::{Complaint, Exit, Output, Terminal};
use crate::evidence::sums;
use crate::report::{self, View};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Which run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder (reports/DRILL/RUN)
    run: PathBuf,
    /// Replace reports that differ; without it they are only named
    #[arg(long)]
    rewrite: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

/// Ends as the run itself did, or with 1 if a report that lies there differs from its record.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let judged = evidence::judge(&args.run)?;
    let compared = evidence::compare(&args.run, &judged);
    let differs = compared.iter().any(|(_, same)| *same == Same::No);
    let sealed = args.run.join(sums::FILE).exists();
    if args.rewrite && sealed {
        let what = format!("{} is sealed: with other reports its digests would no longer hold", args.run.display());
        let mend = "blackstart report RUN --format …, which writes them elsewhere; or blackstart verify RUN";
        return Err(Complaint::new(Exit::Usage, what).mend(mend));
    }
    if args.rewrite || (!sealed && !differs && compared.iter().any(|(_, same)| *same == Same::Missing)) {
        evidence::write(&args.run, &judged)?;
    }
    match args.output {
        Output::Json => terminal.say(&as_json(&args.run, &judged, &compared)),
        Output::Human | Output::Plain => {
            terminal.say(&table(&args.run, &judged, terminal));
            let then = if sealed {
                Then::Sealed
            } else if args.rewrite {
                Then::Rewritten
            } else {
                Then::Rewritable
            };
            terminal.say(&in_words(&compared, then));
        }
    }
    Ok(if differs { judged.exit.merge(Exit::Fail) } else { judged.exit })
}

/// What becomes of reports that differ.
#[derive(Clone, Copy)]
enum Then {
    /// They were replaced.
    Rewritten,
    /// They can be.
    Rewritable,
    /// They stay: the run is sealed.
    Sealed,
}

/// The run as a table.
pub fn table(dir: &Path, judged: &Judged, terminal: &Terminal) -> String {
    let folder = dir.display().to_string();
    let view = View { width: width(), style: terminal.style(), folder: &folder };
    report::terminal(&judged.analysis, view)
}

fn in_words(compared: &[(&'static str, Same)], then: Then) -> String {
    let of = |wanted: Same| -> Vec<&str> {
        compared.iter().filter(|(_, same)| *same == wanted).map(|(name, _)| *name).collect()
    };
    let (differ, missing) = (of(Same::No), of(Same::Missing));
    if differ.is_empty() && missing.is_empty() {
        return format!("computed again: all {} reports are the same, byte for byte", compared.len());
    }
    let mut lines = Vec::new();
    if !differ.is_empty() {
        let then = match then {
            Then::Rewritten => "; replaced",
            Then::Rewritable => "; --rewrite replaces them",
            Then::Sealed => "; the run is sealed, and `blackstart verify` says whether they were changed since",
        };
        lines.push(format!("computed again: NOT what the record says: {}{then}", differ.join(", ")));
    }
    if !missing.is_empty() {
        let stays = if matches!(then, Then::Sealed) { ", and is not put into a sealed run" } else { "" };
        lines.push(format!("computed again: {} was missing{stays}", missing.join(", ")));
    }
    lines.join("\n")
}

fn as_json(dir: &Path, judged: &Judged, compared: &[(&'static str, Same)]) -> String {
    let word = |same: Same| match same {
        Same::Yes => "same",
        Same::No => "differs",
        Same::Missing => "missing",
    };
    let reports: serde_json::Map<_, _> =
        compared.iter().map(|(name, same)| ((*name).to_owned(), word(*same).into())).collect();
    let exit = judged.exit;
    format!("{:#}", json!({"run": dir, "exit_code": exit.code(), "word": exit.word(), "reports": reports}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        assert!(in_words(&[("report.json", Same::Yes)], Then::Sealed).ends_with("byte for byte"));
        let text = in_words(&[("report.json", Same::No), ("junit.xml", Same::Missing)], Then::Rewritable);
        assert!(text.contains("NOT what the record says: report.json; --rewrite"), "{text}");
        assert!(text.contains("junit.xml was missing"), "{text}");
    }
}
