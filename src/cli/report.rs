//! `blackstart report`: one report of a run again, in any format, from its record alone. Never writes into a run's folder:
//! what lies there is sealed.

use super::evidence::{self, Judged};
use super::files::plain;
use super::formats::{self, Format};
use super::terminal::width;
use super::{Complaint, Exit, Terminal};
use crate::config::Also;
use crate::report::{self, Envelope, Style, View};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Which run, as what, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder (reports/DRILL/RUN)
    run: PathBuf,
    /// As what
    #[arg(long, value_enum)]
    format: Format,
    /// Write to this file, which appears whole or not at all, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The manifest's name, and that of the attestation about it.
const MANIFEST: &str = crate::evidence::manifest::FILE;
const ATTESTATION: &str = "attestation.intoto.jsonl";

/// Ends with 0, or with 1 if the attestation that lies there says something else than the record.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let judged = evidence::judge(&args.run)?;
    if let Some(path) = &args.output {
        outside(&args.run, path)?;
    }
    let (text, exit) = rendered(args, &judged, terminal)?;
    match &args.output {
        None => terminal.give(&text),
        Some(path) => evidence::whole(path, text.as_bytes())
            .map_err(|e| Complaint::new(Exit::Internal, format!("cannot write {}: {}", path.display(), plain(&e))))?,
    }
    Ok(exit)
}

/// A run's folder is evidence; nothing is put into it afterwards.
fn outside(run: &Path, output: &Path) -> Result<(), Complaint> {
    let folder = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(run), Ok(folder)) = (run.canonicalize(), folder.canonicalize()) else { return Ok(()) };
    if folder.starts_with(&run) {
        let what = format!("{} is in the run's folder, which is evidence as it is", output.display());
        return Err(Complaint::new(Exit::Usage, what).mend("--output with a file elsewhere"));
    }
    Ok(())
}

fn rendered(args: &Args, judged: &Judged, terminal: &mut Terminal) -> Result<(String, Exit), Complaint> {
    let a = &judged.analysis;
    let text = match args.format {
        Format::Html => report::html(a),
        Format::Json => report::json(a, judged.exit.code()),
        Format::Markdown => report::markdown(a),
        Format::Junit => report::junit(a),
        Format::Metrics => report::metrics(a, judged.exit.code()),
        Format::Oscal => formats::also(Also::Oscal, a).1,
        Format::Trace => formats::also(Also::Trace, a).1,
        Format::Terminal => {
            let style = if args.output.is_some() { Style::Plain } else { terminal.style() };
            let folder = args.run.display().to_string();
            report::terminal(a, View { width: width(), style, folder: &folder })
        }
        Format::Intoto => return attestation(&args.run, judged, terminal),
    };
    Ok((text, Exit::Pass))
}

/// The payload comes from the record, signatures from the attestation that lies there, if that says the same.
fn attestation(dir: &Path, judged: &Judged, terminal: &mut Terminal) -> Result<(String, Exit), Complaint> {
    let read = |name: &str| match std::fs::read(dir.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => {
            Err(Complaint::new(Exit::Internal, format!("cannot read {}: {}", dir.join(name).display(), plain(&e))))
        }
    };
    let Some(manifest) = read(MANIFEST)? else {
        let what = format!("{} has no {MANIFEST}: an attestation is about a sealed run", dir.display());
        return Err(Complaint::new(Exit::Inconclusive, what).mend("a run that was sealed, or another --format"));
    };
    let digest: String = Sha256::digest(&manifest).iter().map(|byte| format!("{byte:02x}")).collect();
    let ours = report::intoto(&judged.analysis, &digest);
    let Some(stored) = read(ATTESTATION)? else { return Ok((ours, Exit::Pass)) };
    Ok(match signed(&ours, &stored) {
        Some(line) => (line, Exit::Pass),
        None => {
            let what = "does not say what the record says: its signatures are left out";
            terminal.warn(&format!("{} {what}", dir.join(ATTESTATION).display()));
            (ours, Exit::Fail)
        }
    })
}

/// The envelope of the record with the signatures of the stored one; none if that has another payload.
fn signed(ours: &str, stored: &[u8]) -> Option<String> {
    let ours: Envelope = serde_json::from_str(ours).ok()?;
    let stored: Envelope = serde_json::from_slice(stored).ok()?;
    let same = ours.payload == stored.payload && ours.payload_type == stored.payload_type;
    same.then(|| Envelope { signatures: stored.signatures, ..ours }.line())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Signature;

    fn envelope(payload: &str, signatures: Vec<Signature>) -> String {
        Envelope { payload_type: report::PAYLOAD_TYPE.to_owned(), payload: payload.to_owned(), signatures }.line()
    }

    #[test]
    fn signatures_are_taken_over_only_for_the_same_payload() {
        let by_us = || vec![Signature { keyid: None, sig: "AA==".to_owned() }];
        let stored = envelope("e30=", by_us());
        assert_eq!(signed(&envelope("e30=", Vec::new()), stored.as_bytes()), Some(stored.clone()));
        assert_eq!(signed(&envelope("W10=", Vec::new()), stored.as_bytes()), None);
        assert_eq!(signed(&envelope("e30=", Vec::new()), b"{}"), None);
    }

    #[test]
    fn nothing_is_written_into_a_runs_folder() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        std::fs::create_dir_all(run.join("ops")).unwrap();
        for inside in ["report.html", "ops/x", "../run/x"] {
            assert_eq!(outside(&run, &run.join(inside)).unwrap_err().exit, Exit::Usage, "{inside}");
        }
        assert!(outside(&run, &dir.path().join("x")).is_ok());
    }
}
