//! `blackstart verify`: checks runs as evidence, and says what was checked and what came of it. The checks themselves are
//! in `evidence::verify`; what a record amounts to is computed by `evidence` of this module, as when the run ended.

use super::files::CONFIG_NAME;
use super::playbooks::nearest;
use super::terminal::width;
use super::{Complaint, Exit, Output, Terminal, evidence, files};
use crate::adapters::{Commands, World, openssl};
use crate::config::{Config, Evidence};
use crate::evidence::allowed::AllowedSigners;
use crate::evidence::verify::{
    Area, Authority, Checked, Finding, Kind, Level, Policy, Rendered, Requirement, Verified, runs_below, verify,
};
use crate::journal::Stored;
use crate::playbook::SourceText;
use crate::report::tables::Tone;
use crate::report::{Style, words};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Which runs, and what is asked of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of runs (reports/DRILL/RUN), or folders that hold such
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Who may sign: a file as ssh-keygen -Y verify -f takes it
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// What each run must have
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    require: Vec<Require>,
    /// Certificate of the authority that signs timestamps (PEM); openssl checks them
    #[arg(long, value_name = "FILE")]
    tsa_ca: Option<PathBuf>,
    /// Do not compute verdicts and reports again: faster, and says less
    #[arg(long)]
    no_recompute: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

/// What a run must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Require {
    /// A signature by an allowed signer
    Signed,
    /// A place in a chain of runs
    Chained,
    /// A timestamp whose authority is checked
    Stamped,
}

impl From<Require> for Requirement {
    fn from(require: Require) -> Self {
        match require {
            Require::Signed => Self::Signed,
            Require::Chained => Self::Chained,
            Require::Stamped => Self::Stamped,
        }
    }
}

/// Ends with 1 if something is not what was sealed, with 2 if that cannot be told.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let folders = folders(&args.runs)?;
    let trusted = Trusted::of(args, terminal)?;
    let signers = trusted.signers.as_deref().map(allowed).transpose()?;
    let world = World::system();
    let ca = trusted.authority.as_deref();
    let ask = |data: &Path, stamp: &Path| ask_authority(world.commands.as_ref(), data, stamp, ca);
    let policy = Policy {
        signers,
        require: args.require.iter().copied().map(Requirement::from).collect(),
        authority: ca.is_some().then_some(&ask),
        recompute: (!args.no_recompute).then_some(&recomputed),
    };
    let verified = verify(&folders, &policy);
    match args.output {
        Output::Json => terminal.say(&as_json(&verified)),
        Output::Human | Output::Plain => {
            let style = if args.output == Output::Plain { Style::Plain } else { terminal.style() };
            terminal.say(&in_words(&verified, style, width()));
        }
    }
    Ok(exit_of(verified.level()))
}

/// Whom to believe: what was asked for, else what the configuration of whoever asks says. Never one that lies beside the
/// runs: whoever gives a run away could put their own there.
struct Trusted {
    signers: Option<PathBuf>,
    authority: Option<PathBuf>,
}

impl Trusted {
    fn of(args: &Args, terminal: &mut Terminal) -> Result<Self, Complaint> {
        let (mut signers, mut authority) = (args.allowed_signers.clone(), args.tsa_ca.clone());
        if signers.is_none() || authority.is_none() {
            let (folder, config) = configured()?.unwrap_or_default();
            let beside = |path: &PathBuf| folder.join(path);
            if let (None, Some(path)) = (&signers, config.allowed_signers.as_ref().map(beside)) {
                terminal.warn(&format!("signers are allowed as in {}, which {CONFIG_NAME} names", path.display()));
                signers = Some(path);
            }
            authority = authority.or_else(|| config.timestamp.as_ref()?.ca.as_ref().map(beside));
        }
        Ok(Self { signers, authority })
    }
}

/// What the configuration beside or above this folder says of evidence, and where it lies.
///
/// # Errors
/// When there is one that cannot be read: whom it names is then not known.
fn configured() -> Result<Option<(PathBuf, Evidence)>, Complaint> {
    let Some(path) = nearest(Path::new("any.yaml")) else { return Ok(None) };
    let wrong = |why: String| {
        let mend = "mend it, or name --allowed-signers and --tsa-ca";
        Complaint::new(Exit::Usage, format!("{} cannot be read: {why}", path.display())).mend(mend)
    };
    let text = SourceText::from_bytes(&path, &files::read(&path).map_err(wrong)?);
    let config = Config::parse(text)
        .map_err(|said| wrong(said.first().map_or_else(|| "it is wrong".to_owned(), |first| first.message.clone())))?;
    Ok(path.parent().map(|folder| (folder.to_owned(), config.evidence)))
}

/// What a level means for whoever called.
pub fn exit_of(level: Option<Level>) -> Exit {
    match level {
        None | Some(Level::Remark) => Exit::Pass,
        Some(Level::Unverifiable) => Exit::Inconclusive,
        Some(Level::Broken) => Exit::Fail,
    }
}

/// The folders of all runs that were named, each once.
fn folders(named: &[PathBuf]) -> Result<Vec<PathBuf>, Complaint> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for path in named {
        let cannot = |why: String| Complaint::new(Exit::Usage, why).mend("the folder of a run, or one that holds runs");
        let found =
            runs_below(path).map_err(|e| cannot(format!("cannot list {}: {}", path.display(), files::plain(&e))))?;
        if found.is_empty() {
            return Err(cannot(format!("there is no run in {}", path.display())));
        }
        folders.extend(found);
    }
    folders.sort();
    folders.dedup();
    Ok(folders)
}

/// Reads a file of allowed signers.
///
/// # Errors
/// When it cannot be read, or a line of it cannot.
pub fn allowed(path: &Path) -> Result<AllowedSigners, Complaint> {
    let bytes = files::read(path)
        .map_err(|why| Complaint::new(Exit::Usage, format!("cannot read {}: {why}", path.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    AllowedSigners::parse(&text).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        Complaint::new(Exit::Usage, what).mend("a file as `man ssh-keygen` has it under ALLOWED SIGNERS")
    })
}

/// Asks openssl whether the authority with this certificate signed the stamp in the second file over the first.
pub fn ask_authority(commands: &dyn Commands, data: &Path, stamp: &Path, ca: Option<&Path>) -> Authority {
    let Some(ca) = ca else { return Authority::Undecided("no certificate was given".to_owned()) };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Authority::Undecided(format!("cannot start the runtime: {error}")),
    };
    match runtime.block_on(openssl::verify_stamp(commands, (data, stamp, ca))) {
        Ok(Ok(())) => Authority::Signed,
        Ok(Err(why)) => Authority::Refused(why),
        Err(error) => Authority::Undecided(error.to_string()),
    }
}

/// Every report that follows from a run's record, and what the run amounts to.
///
/// # Errors
/// When the record has no start.
pub fn recomputed(dir: &Path, stored: Stored) -> Result<Rendered, String> {
    let judged = evidence::judge_stored(dir, stored).map_err(|complaint| complaint.what)?;
    let reports = judged.files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    let tool = format!("blackstart {}", env!("CARGO_PKG_VERSION"));
    Ok(Rendered { exit_code: judged.exit.code(), word: judged.exit.word().to_owned(), tool, reports })
}

fn as_json(verified: &Verified) -> String {
    let level = verified.level();
    let finding =
        |f: &Finding| json!({"level": f.level, "area": f.kind.area(), "kind": f.kind, "file": f.file, "what": f.what});
    let run = |run: &Checked| {
        let good: serde_json::Map<String, Value> =
            run.good.iter().map(|(area, what)| (area.words().to_owned(), what.clone().into())).collect();
        json!({
            "folder": run.folder, "run": run.run, "drill": run.drill, "environment": run.environment,
            "exit_code": run.exit_code, "manifest": run.manifest, "signer": run.signer,
            "fingerprint": run.fingerprint, "level": run.level(),
            "good": good, "findings": run.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    };
    let runs: Vec<Value> = verified.runs.iter().map(run).collect();
    let exit = exit_of(level).code();
    format!("{:#}", json!({"schema": "blackstart/verify/v1", "exit_code": exit, "level": level, "runs": runs}))
}

/// With more runs than this, only those with something wrong have a table.
const TABLES: usize = 3;
/// So many findings of a run are told, of each area.
const OF_AREA: usize = 3;
/// So long a finding may be.
const LETTERS: usize = 300;

fn in_words(verified: &Verified, style: Style, width: usize) -> String {
    let many = verified.runs.len() > TABLES;
    let mut out = String::new();
    for run in &verified.runs {
        out += &heading(run, style);
        if !many || run.level() > Some(Level::Remark) {
            out += &table(run, style, width);
            out.push('\n');
        }
    }
    if many && !out.ends_with("\n\n") {
        out.push('\n');
    }
    out + &last_line(verified, style)
}

fn mark(level: Option<Level>) -> (&'static str, Tone) {
    match level {
        None => ("✓", Tone::Good),
        Some(Level::Remark) => ("·", Tone::Faint),
        Some(Level::Unverifiable) => ("?", Tone::Unsure),
        Some(Level::Broken) => ("✗", Tone::Bad),
    }
}

fn heading(run: &Checked, style: Style) -> String {
    let level = run.level().filter(|level| *level > Level::Remark);
    let (sign, tone) = mark(level);
    let name = match (&run.drill, &run.run) {
        (Some(drill), Some(run)) => format!("{drill}  {run}"),
        _ => "a run that does not say which it is".to_owned(),
    };
    let folder = style.paint(&words::clean(&run.folder.display().to_string()), Tone::Faint);
    format!("{} {}  {folder}\n", style.paint(sign, tone), words::clean(&name))
}

/// A row for each area: what was checked, and what came of it.
fn table(run: &Checked, style: Style, width: usize) -> String {
    let mut out = String::new();
    for area in Area::ALL {
        let found: Vec<&Finding> = run.findings.iter().filter(|finding| finding.kind.area() == area).collect();
        let worst = found.iter().map(|finding| finding.level).max();
        let good = run.good.iter().filter(|(of, _)| *of == area && worst <= Some(Level::Remark));
        let mut texts: Vec<(Option<Level>, String)> = good.map(|(_, text)| (None, text.clone())).collect();
        let told = found.iter().take(OF_AREA).map(|finding| (Some(finding.level), told(finding)));
        texts.extend(told);
        if found.len() > OF_AREA {
            texts.push((worst, format!("and {} more: --output json has them all", found.len() - OF_AREA)));
        }
        for (index, (level, text)) in texts.iter().enumerate() {
            let (sign, tone) = mark(*level);
            let label = if index == 0 { area.words() } else { "" };
            out += &row((sign, tone), label, &words::clean(text), (style, width));
        }
    }
    out
}

fn told(finding: &Finding) -> String {
    let text =
        if finding.file.is_empty() { finding.what.clone() } else { format!("{}: {}", finding.file, finding.what) };
    if text.chars().count() <= LETTERS { text } else { text.chars().take(LETTERS).chain(['…']).collect() }
}

fn row((sign, tone): (&str, Tone), label: &str, text: &str, (style, width): (Style, usize)) -> String {
    const INDENT: usize = 19;
    let mut lines: Vec<String> = vec![String::new()];
    let room = width.saturating_sub(INDENT).max(20);
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > room {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    let rest = lines[1..].iter().map(|line| format!("{}{line}\n", " ".repeat(INDENT)));
    format!("  {} {label:<14} {}\n{}", style.paint(sign, tone), lines[0], rest.collect::<String>())
}

/// What all of it comes to.
fn last_line(verified: &Verified, style: Style) -> String {
    let runs = &verified.runs;
    let of = |level: Level| runs.iter().filter(|run| run.level() == Some(level)).count();
    let count = |n: usize| if n == 1 { "1 run".to_owned() } else { format!("{n} runs") };
    let all = count(runs.len());
    let unsigned = runs.iter().filter(|run| run.signer.is_none()).count();
    let (word, tone, rest) = match verified.level() {
        Some(Level::Broken) => {
            let broken = of(Level::Broken);
            ("✗ BROKEN", Tone::Bad, format!("{broken} of {all} {} not what was sealed", are(broken)))
        }
        Some(Level::Unverifiable) => {
            let open = of(Level::Unverifiable);
            ("? NOT VERIFIED", Tone::Unsure, format!("{open} of {all} cannot be verified; nothing was found changed"))
        }
        _ if unsigned == 0 => ("✓ VERIFIED", Tone::Good, format!("{all}, whole and signed by those who may")),
        _ => {
            let what = match (runs.len(), unsigned) {
                (1, _) => format!("{all} is as it was sealed, and nobody vouches for who sealed it"),
                _ => {
                    format!("{all} are as they were sealed; for {unsigned} of them nobody vouches for who sealed them")
                }
            };
            ("✓ WHOLE", Tone::Unsure, what)
        }
    };
    let pruned = runs.iter().filter(|run| run.findings.iter().any(|finding| finding.kind == Kind::Pruned)).count();
    let gone = match pruned {
        0 => String::new(),
        _ => format!("; of {} only tombstones are here: removed on purpose", count(pruned)),
    };
    format!("{}: {rest}{gone}", style.paint(word, tone))
}

fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(findings: Vec<Finding>) -> Checked {
        Checked {
            folder: "reports/a/b".into(),
            run: Some("20261121T041443Z-afgei".into()),
            drill: Some("a".into()),
            environment: Some("staging".to_owned()),
            exit_code: Some(0),
            manifest: None,
            signer: None,
            fingerprint: None,
            good: vec![(Area::Journal, "12 lines".to_owned())],
            findings,
        }
    }

    #[test]
    fn the_worst_decides_and_is_told_last() {
        let shown = |findings| in_words(&Verified { runs: vec![checked(findings)] }, Style::Plain, 80);
        assert!(shown(vec![]).ends_with("✓ WHOLE: 1 run is as it was sealed, and nobody vouches for who sealed it"));
        let broken = shown(vec![Finding::new(Kind::Changed, "report.json", "other bytes")]);
        assert!(broken.contains("✗ files          report.json: other bytes\n"), "{broken}");
        assert!(broken.ends_with("✗ BROKEN: 1 of 1 run is not what was sealed"), "{broken}");
        let open = shown(vec![Finding::new(Kind::Unsealed, "", "not sealed")]);
        assert!(open.ends_with("? NOT VERIFIED: 1 of 1 run cannot be verified; nothing was found changed"), "{open}");
    }

    #[test]
    fn one_run_never_fills_a_screen() {
        let many = (0..200).map(|n| Finding::new(Kind::Added, format!("x{n}"), "it was not there ".repeat(50)));
        let text = in_words(&Verified { runs: vec![checked(many.collect())] }, Style::Plain, 100);
        assert!(text.lines().count() <= 25, "{text}");
        assert!(text.contains("and 197 more"), "{text}");
    }

    #[test]
    fn of_many_runs_only_the_bad_have_tables() {
        let mut runs = vec![checked(vec![]); 9];
        runs.push(checked(vec![Finding::new(Kind::Missing, "report.html", "gone")]));
        let text = in_words(&Verified { runs }, Style::Plain, 100);
        assert!(text.contains("report.html: gone") && text.lines().count() < 20, "{text}");
    }
}
