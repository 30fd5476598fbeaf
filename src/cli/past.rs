//! Earlier runs, for every command that asks about them: where the index is, bringing it up to date, and what to do when it
//! cannot be used. Runs' folders are the truth; an index only saves reading them again.

use super::playbooks::nearest;
use super::{Complaint, Exit, Terminal, files};
use crate::adapters::index::folders::{self, Way};
use crate::adapters::index::{self, Index, IndexError, Place};
use crate::config::Config;
use crate::event::{EARLIER, EarlierRun};
use crate::history::class::{Load, class};
use crate::history::entry::{Entry, in_order};
use crate::history::folder::{Head, head};
use crate::journal;
use crate::model::ObjectiveKind;
use crate::plan::Plan;
use crate::playbook::SourceText;
use crate::report::words;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// One operation on an index may take so long when somebody waits for its answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// And so long when a drill waits for it.
const BRIEFLY: Duration = Duration::from_secs(2);
/// Where the index is if nothing else is said, below the folder of runs.
const DEFAULT: &str = ".blackstart/history.sqlite";
/// The environment may name the index, with a password.
const URL: &str = "BLACKSTART_HISTORY_URL";

/// Which runs.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Where {
    /// Where the runs' folders are; `reports` if the configuration does not say
    #[arg(long, value_name = "DIR", env = "BLACKSTART_REPORTS")]
    pub reports: Option<PathBuf>,
    /// The index: a SQLite file, or postgres://USER@HOST/DATABASE (its password comes from BLACKSTART_HISTORY_URL or the
    /// configuration)
    #[arg(long, value_name = "PATH|URL")]
    pub index: Option<String>,
    /// The configuration; the nearest `blackstart.yaml` from here upwards if not given
    #[arg(long, value_name = "FILE", env = "BLACKSTART_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Make the index again from all folders?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// Only what changed is read.
    No,
    /// Everything is.
    Yes,
}

/// What is known of earlier runs.
pub struct Past {
    /// The runs, oldest first.
    pub entries: Vec<Entry>,
    /// Folders that are no run, with the reason.
    pub skipped: Vec<(String, String)>,
    /// The folder of runs.
    pub reports: PathBuf,
}

/// How an index was named.
#[derive(Clone)]
struct Chosen {
    place: Place,
    /// Nobody named it: it may be left out.
    usual: bool,
}

impl Where {
    /// The configuration.
    ///
    /// # Errors
    /// When the one that was named cannot be read.
    pub fn config(&self) -> Result<Config, Complaint> {
        let Some(path) = self.config.clone().or_else(|| nearest(Path::new("any.yaml"))) else {
            return Ok(Config::default());
        };
        let refused = |why: String| Complaint::new(Exit::Usage, format!("cannot read {}: {why}", path.display()));
        let bytes = files::read(&path).map_err(refused)?;
        Config::parse(SourceText::from_bytes(&path, &bytes))
            .map_err(|_| refused("it has mistakes".to_owned()).mend(format!("blackstart validate {}", path.display())))
    }

    /// The folder of runs.
    ///
    /// # Errors
    /// As [`Where::config`].
    pub fn reports(&self) -> Result<PathBuf, Complaint> {
        if let Some(dir) = &self.reports {
            return Ok(dir.clone());
        }
        let config = self.config()?;
        let folder = config.path.as_ref().and_then(|file| file.parent()).unwrap_or(Path::new("")).to_owned();
        Ok(config.reports.map_or_else(|| "reports".into(), |dir| folder.join(dir)))
    }

    fn chosen(&self, reports: &Path) -> Result<Chosen, Complaint> {
        let Some(text) = &self.index else { return chosen(&self.config()?, reports) };
        let place = Place::of(text);
        if place.has_password() {
            let what = "a password on the command line is seen by everybody on this machine";
            return Err(Complaint::new(Exit::Usage, what).mend(format!("put the whole URL into {URL}")));
        }
        Ok(Chosen { place, usual: false })
    }
}

/// The index that the environment or the configuration names, else the usual one.
fn chosen(config: &Config, reports: &Path) -> Result<Chosen, Complaint> {
    let named = |place: Place| Chosen { place, usual: false };
    if let Some(url) = std::env::var(URL).ok().filter(|url| !url.is_empty()) {
        return Ok(named(Place::of(&url)));
    }
    let usual = || Chosen { place: Place::File(reports.join(DEFAULT)), usual: true };
    Ok(configured(config)?.map_or_else(usual, named))
}

/// The index of the configuration, with the password from the file that it names.
fn configured(config: &Config) -> Result<Option<Place>, Complaint> {
    let Some(text) = &config.evidence.history else { return Ok(None) };
    let folder = config.path.as_ref().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let place = match Place::of(text) {
        Place::File(path) => Place::File(folder.join(path)),
        server @ Place::Server(_) => server,
    };
    if place.has_password() {
        let what = "`evidence: history:` holds a password, and the configuration is no place for one";
        let mend = format!("`history_password: FILE` beside it, or the whole URL in {URL}");
        return Err(Complaint::new(Exit::Usage, what).mend(mend));
    }
    let Some(file) = config.evidence.history_password.as_ref().map(|path| folder.join(path)) else {
        return Ok(Some(place));
    };
    let bytes = files::read(&file)
        .map_err(|why| Complaint::new(Exit::Usage, format!("cannot read {}: {why}", file.display())))?;
    Ok(Some(place.with_password(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']))))
}

impl Chosen {
    /// Under which name the runs of this folder stand in it. A file that lies beside the runs moves with them.
    fn source(&self, reports: &Path) -> String {
        if self.usual { ".".to_owned() } else { index::source(&host(), reports) }
    }

    /// A team's index remembers what is gone from here.
    fn way(&self, anew: Anew) -> Way {
        match (anew, &self.place) {
            (Anew::Yes, _) => Way::Rebuild,
            (Anew::No, Place::File(_)) => Way::Mirror,
            (Anew::No, Place::Server(_)) => Way::Add,
        }
    }
}

fn host() -> String {
    nix::unistd::gethostname().map_or_else(|_| "here".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// What is known of the runs of a drill and an environment, or of all. The index is brought up to date first; where there is
/// none, and none can be made, folders are read.
///
/// # Errors
/// When there is no folder of runs, or an index that was named cannot be used.
pub fn load(args: &Where, drill: Option<&str>, anew: Anew, terminal: &mut Terminal) -> Result<Past, Complaint> {
    let reports = args.reports()?;
    let chosen = args.chosen(&reports)?;
    if !reports.is_dir() && chosen.usual {
        let what = format!("there is no folder of runs {}", reports.display());
        return Err(Complaint::new(Exit::Usage, what).mend("--reports DIR, the folder that `blackstart run` writes to"));
    }
    let rows = match indexed(&chosen, &reports, drill, anew) {
        Ok(rows) => rows,
        // A folder that cannot be written can be read.
        Err(IndexError::Unusable { .. } | IndexError::Busy(_)) if chosen.usual && anew == Anew::No => {
            terminal.warn("the index cannot be used; all folders are read instead");
            scanned(&reports)?
        }
        Err(error) => return Err(refused(&error)),
    };
    let (mut entries, mut skipped) = (Vec::new(), Vec::new());
    for row in rows {
        match row.content {
            Ok(entry) if drill.is_none_or(|name| name == entry.drill.as_str()) => entries.push(*entry),
            Ok(_) => {}
            Err(why) => skipped.push((row.folder, why)),
        }
    }
    Ok(Past { entries: in_order(entries), skipped, reports })
}

fn indexed(chosen: &Chosen, reports: &Path, drill: Option<&str>, anew: Anew) -> Result<Vec<index::Row>, IndexError> {
    let mut open = Index::open(&chosen.place, PATIENCE)?;
    if reports.is_dir() {
        folders::update(&mut open, &chosen.source(reports), reports, chosen.way(anew))?;
    }
    open.rows(drill, None)
}

/// Without an index.
fn scanned(reports: &Path) -> Result<Vec<index::Row>, Complaint> {
    let found = folders::list(reports)
        .map_err(|e| Complaint::new(Exit::Usage, format!("cannot list {}: {}", reports.display(), files::plain(&e))))?;
    Ok(found.iter().map(|folder| folders::read(reports, folder)).collect())
}

fn refused(error: &IndexError) -> Complaint {
    let complaint = |exit| Complaint::new(exit, error.to_string());
    match error {
        IndexError::Foreign(place) => {
            complaint(Exit::Usage).mend(format!("another name for the index than {place}: --index PATH"))
        }
        IndexError::Damaged(place) => complaint(Exit::Internal)
            .mend(format!("mv {place} {place}.damaged; blackstart history --rebuild makes it again from the folders")),
        IndexError::Newer { .. } => complaint(Exit::Usage).mend("a newer blackstart, or another index: --index PATH"),
        IndexError::Busy(_) => complaint(Exit::Internal).mend("again, when the other program is done"),
        IndexError::Unusable { .. } => complaint(Exit::Usage).mend("--index PATH, in a folder that can be written"),
        IndexError::Server(_) => {
            complaint(Exit::Usage).mend(format!("the server up, and {URL}=postgresql://USER:PASSWORD@HOST/DATABASE"))
        }
    }
}

/// Earlier runs of this drill in this environment, as the start record keeps them; and why not all could be seen, if so. A
/// drill does not wait for it longer than about two seconds.
pub fn earlier(plan: &Plan, config: &Config, reports: &Path) -> (Vec<EarlierRun>, Option<String>) {
    let (drill, environment) = (plan.name.to_string(), plan.environment.clone());
    let (tell, told) = mpsc::channel();
    let (place, reports) = (named_or_there(config, reports), reports.to_owned());
    // Whoever does not answer in time is left behind: it only reads.
    std::thread::spawn(move || drop(tell.send(look(place, &reports, &drill, &environment))));
    let (entries, note) = match told.recv_timeout(BRIEFLY) {
        Ok(found) => found,
        Err(_) => (Vec::new(), Some("earlier runs were not found within 2 s: this run does not name them".to_owned())),
    };
    let class = class_of(plan);
    let skip = entries.len().saturating_sub(EARLIER);
    (entries.into_iter().skip(skip).map(|entry| remembered(entry, &class)).collect(), note)
}

/// The index, if one was named or there is one.
fn named_or_there(config: &Config, reports: &Path) -> Option<Chosen> {
    let chosen = chosen(config, reports).ok()?;
    let there = |place: &Place| matches!(place, Place::File(path) if path.exists());
    (!chosen.usual || there(&chosen.place)).then_some(chosen)
}

fn look(chosen: Option<Chosen>, reports: &Path, drill: &str, environment: &str) -> (Vec<Entry>, Option<String>) {
    let mine = reports.join(drill);
    let here = folders::list(&mine).unwrap_or_default();
    let began = |folder: &String| Some((head(&folders::start_line(&mine, folder)?)?, folder.clone()));
    let mut heads: Vec<(Head, String)> = here.iter().filter_map(began).collect();
    heads.retain(|(head, _)| head.environment == environment);
    heads.sort_by_key(|(head, _)| head.started);
    let skip = heads.len().saturating_sub(EARLIER * 2);
    let rows = heads.iter().skip(skip).map(|(_, folder)| folders::read(&mine, folder));
    let mut entries: Vec<Entry> = rows.filter_map(|row| row.content.ok()).map(|entry| *entry).collect();
    let mut note = None;
    if let Some(chosen) = chosen {
        match Index::open(&chosen.place, BRIEFLY).and_then(|mut open| open.rows(Some(drill), Some(environment))) {
            Ok(rows) => entries.extend(rows.into_iter().filter_map(|row| row.content.ok()).map(|entry| *entry)),
            Err(why) => note = Some(format!("{why}: earlier runs that only it knows are not named")),
        }
    }
    entries.retain(|entry| entry.drill.as_str() == drill && entry.environment == environment);
    (in_order(entries), note)
}

/// The class of a run of this plan.
fn class_of(plan: &Plan) -> String {
    let digest = journal::digest(plan.source.text.as_bytes());
    let load = |w: &crate::plan::WorkloadPlan| (w.name.to_string(), w.spec.kind(), w.rate);
    let loads: Vec<(String, &str, f64)> = plan.workloads.iter().map(load).collect();
    let loads: Vec<Load<'_>> = loads.iter().map(|(name, kind, rate)| Load { name, kind, rate: *rate }).collect();
    class(&digest, &plan.environment, &plan.params, &loads)
}

fn remembered(entry: Entry, class: &str) -> EarlierRun {
    EarlierRun {
        comparable: entry.class == class,
        run: entry.run,
        started: entry.started,
        state: entry.state,
        verdict: entry.verdict,
        figures: entry.figures,
    }
}

/// A run that is done is put into the index, if one was named or there is one. What goes wrong is a remark: the run's
/// result stands in its folder.
pub fn note(config: &Config, dir: &Path, terminal: &mut Terminal) {
    let Some(reports) = dir.parent().and_then(Path::parent) else { return };
    let Some(chosen) = named_or_there(config, reports) else { return };
    let Ok(folder) = dir.strip_prefix(reports) else { return };
    let source = chosen.source(reports);
    let put = Index::open(&chosen.place, BRIEFLY)
        .and_then(|mut open| folders::add(&mut open, &source, reports, &folder.to_string_lossy()));
    if let Err(why) = put {
        terminal.warn(&format!("remark: the run is not in the index of runs: {why}\n  try: blackstart history"));
    }
}

/// A figure of an objective in its unit, as reports show it.
pub fn figure(objective: &str, value: f64) -> String {
    match kind(objective) {
        ObjectiveKind::RpoWrites => words::target(ObjectiveKind::RpoWrites, value.round() as i64),
        kind => words::target(kind, (value * 1e9).round() as i64),
    }
}

/// The name of an objective, as reports show it.
pub fn objective(name: &str, workload: &str) -> String {
    let of = if workload.is_empty() { String::new() } else { format!(" of {}", words::clean(workload)) };
    format!("{}{of}", words::objective(kind(name)))
}

fn kind(objective: &str) -> ObjectiveKind {
    match objective {
        "rpo_time" => ObjectiveKind::RpoTime,
        "rpo_writes" => ObjectiveKind::RpoWrites,
        "detect" => ObjectiveKind::Detect,
        _ => ObjectiveKind::Rto,
    }
}
