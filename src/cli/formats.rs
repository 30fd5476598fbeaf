//! Which reports there are: what each is called, the file it has in a run's folder, and who renders it. What stands in
//! them is `report`'s business.

use super::Exit;
use crate::analysis::Analysis;
use crate::config::Also;
use crate::report;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::Path;

/// A format that a run can be rendered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A page for people
    Html,
    /// Everything, for programs
    Json,
    /// For a CI's job summary
    Markdown,
    /// For a CI's test view
    Junit,
    /// OpenMetrics text, for Prometheus and GitLab
    Metrics,
    /// OSCAL assessment results
    Oscal,
    /// An in-toto test result in a DSSE envelope
    Intoto,
    /// An OpenTelemetry trace (OTLP/JSON)
    Trace,
    /// The table that `run` prints
    Terminal,
}

/// The reports of a run's folder: those that it always has, and the others that lie there.
pub fn of_run(dir: &Path, a: &Analysis, exit: Exit) -> Vec<(&'static str, String)> {
    let mut files = vec![
        ("report.json", report::json(a, exit.code())),
        ("report.html", report::html(a)),
        ("report.md", report::markdown(a)),
        ("junit.xml", report::junit(a)),
        ("metrics.txt", report::metrics(a, exit.code())),
    ];
    files.extend(Also::ALL.into_iter().filter(|which| dir.join(name(*which)).exists()).map(|which| also(which, a)));
    files
}

/// A report that is made only where it is asked for.
pub fn also(which: Also, a: &Analysis) -> (&'static str, String) {
    let text = match which {
        Also::Oscal => report::oscal(a),
        Also::Trace => report::trace(a),
    };
    (name(which), text)
}

fn name(which: Also) -> &'static str {
    match which {
        Also::Oscal => "oscal.json",
        Also::Trace => "trace.json",
    }
}

/// Reads the name of a report that is made only where it is asked for.
pub fn also_parser() -> impl TypedValueParser<Value = Also> {
    PossibleValuesParser::new(Also::ALL.map(Also::word)).try_map(|word| word.parse())
}
