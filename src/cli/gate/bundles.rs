//! The bundles that a gate reads: which there are, which are of the drill that is asked for, and what each is worth. Only
//! the last ones of a drill are read whole.

use super::seal::Checks;
use crate::adapters::index::{Row, folders};
use crate::cli::{Complaint, Exit, files};
use crate::evidence::manifest;
use crate::history::entry::Entry;
use crate::history::folder::{Head, head};
use crate::history::gate::{Asked, Evidence, Integrity, Seal, Standing, Unreadable};
use crate::journal;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// So many runs of a drill are read: enough for every claim that is made.
const MOST: usize = 64;

/// The folders of runs below one.
pub struct Bundles {
    reports: PathBuf,
    folders: Vec<(String, Option<Head>)>,
}

/// The runs of a baseline: a folder of runs, or one run alone (true).
pub fn baseline(path: &Path) -> Result<(Bundles, bool), Complaint> {
    let bundles = Bundles::find(path)?;
    if bundles.folders.is_empty() {
        let what = format!("there is no run in {}", path.display());
        return Err(Complaint::new(Exit::Usage, what).mend("--baseline DIR, with runs of the drill that passed"));
    }
    let alone = matches!(bundles.folders.as_slice(), [(folder, _)] if folder == ".");
    Ok((bundles, alone))
}

impl Bundles {
    /// Looks which there are.
    pub fn find(reports: &Path) -> Result<Self, Complaint> {
        let listed = folders::list(reports).map_err(|e| {
            let what = format!("cannot list {}: {}", reports.display(), files::plain(&e));
            Complaint::new(Exit::Inconclusive, what).mend("--reports DIR, the folder that `blackstart run` writes to")
        })?;
        let with_head = |folder: String| {
            let head = folders::start_line(reports, &folder).and_then(|line| head(&line));
            (folder, head)
        };
        Ok(Self { reports: reports.to_owned(), folders: listed.into_iter().map(with_head).collect() })
    }

    /// Where they are.
    pub fn reports(&self) -> &Path {
        &self.reports
    }

    /// Every drill and environment.
    pub fn drills(&self) -> BTreeSet<(String, String)> {
        let heads = self.folders.iter().filter_map(|(_, head)| head.as_ref());
        heads.map(|head| (head.drill.to_string(), head.environment.clone())).collect()
    }

    /// The last runs of a drill (of those that tested the subjects), and folders that ought to be runs of it.
    pub fn of(&self, asked: &Asked, subjects: &[String], checks: &Checks) -> (Vec<Evidence>, Vec<Unreadable>) {
        let mut meant: Vec<(&str, Option<&Head>)> = self
            .folders
            .iter()
            .map(|(folder, head)| (folder.as_str(), head.as_ref()))
            .filter(|(folder, head)| means(asked, subjects, folder, *head))
            .collect();
        // Those of which nobody knows when they began come first: they may be the last.
        meant.sort_by_key(|(folder, head)| std::cmp::Reverse((head.is_none(), head.map(|h| h.started), *folder)));
        let mut copies = BTreeSet::new();
        meant.retain(|(folder, head)| copies.insert(self.identity(folder, *head)));
        meant.truncate(MOST);
        let rows: Vec<Row> = meant.iter().map(|(folder, _)| folders::read(&self.reports, folder)).collect();
        let seals = checks.seals(&self.with_those_before(&meant, &rows));
        let newest = rows.iter().filter_map(|row| row.content.as_ref().ok()).map(|entry| &entry.run).max();
        let (mut evidence, mut unreadable) = (Vec::new(), Vec::new());
        for ((row, seal), (folder, head)) in rows.iter().zip(seals).zip(&meant) {
            let dir = self.reports.join(folder);
            match &row.content {
                Ok(entry) => {
                    let seal = Seal { chain: self.chain(entry, seal.chain), ..seal };
                    let entry = Entry { folder: shown(&dir), ..(**entry).clone() };
                    evidence.push(Evidence { entry, seal });
                }
                // Runs are removed on purpose, but not the last ones.
                Err(_)
                    if is_tombstone(&dir)
                        && !matches!(seal.integrity, Integrity::Broken(_))
                        && newest.is_some_and(|newest| name(folder) < newest.as_str()) => {}
                Err(why) => {
                    let broken = match seal.integrity {
                        Integrity::Broken(what) => what,
                        Integrity::Intact | Integrity::Unknown(_) => Vec::new(),
                    };
                    let started = head.map(|head| head.started);
                    unreadable.push(Unreadable { folder: shown(&dir), started, why: why.clone(), broken });
                }
            }
        }
        (evidence, unreadable)
    }

    /// Artifacts of several jobs may hold copies of a run: the same manifest is the same run.
    fn identity(&self, folder: &str, head: Option<&Head>) -> (String, String) {
        let manifest = std::fs::read(self.reports.join(folder).join(manifest::FILE));
        match (head, manifest) {
            (Some(head), Ok(bytes)) => (head.run.to_string(), journal::digest(&bytes)),
            _ => (folder.to_owned(), String::new()),
        }
    }

    /// The folders of these runs, and after them those of the runs before them in their chains.
    fn with_those_before(&self, meant: &[(&str, Option<&Head>)], rows: &[Row]) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = meant.iter().map(|(folder, _)| self.reports.join(folder)).collect();
        for entry in rows.iter().filter_map(|row| row.content.as_ref().ok()) {
            let previous = entry.chain.as_ref().and_then(|chain| chain.previous.as_ref());
            if let Some(folder) = previous.and_then(|previous| self.folder_of(previous.run.as_str())) {
                let dir = self.reports.join(folder);
                let copied = meant.iter().any(|(_, head)| head.is_some_and(|head| name(folder) == head.run.as_str()));
                if !copied && !dirs.contains(&dir) {
                    dirs.push(dir);
                }
            }
        }
        dirs
    }

    /// The folder of a run; of one that was removed on purpose, that of its tombstone.
    fn folder_of(&self, run: &str) -> Option<&str> {
        let is = |(folder, head): &&(String, Option<Head>)| {
            head.as_ref().map_or(name(folder) == run, |head| head.run.as_str() == run)
        };
        self.folders.iter().find(is).map(|(folder, _)| folder.as_str())
    }

    /// Is the run before it here, so that none was dropped between them?
    fn chain(&self, entry: &Entry, found: Standing) -> Standing {
        let Some(chain) = &entry.chain else { return found };
        match (&chain.previous, found) {
            (_, bad @ Standing::Bad(_)) => bad,
            (None, _) => {
                let why = "the chain of runs starts with it: nothing shows that no run was dropped before it";
                Standing::Missing(why.to_owned())
            }
            (Some(previous), found) if self.folder_of(previous.run.as_str()).is_some() => found,
            (Some(previous), _) => {
                Standing::Missing(format!("run {}, the one before it in the chain, is not here", previous.run))
            }
        }
    }
}

/// The last part of a folder's path: the run's id.
fn name(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

fn is_tombstone(dir: &Path) -> bool {
    dir.join("TOMBSTONE.json").is_file() && !dir.join(journal::FILE).exists()
}

/// Is this folder a run of the drill, or may it be one?
fn means(asked: &Asked, subjects: &[String], folder: &str, head: Option<&Head>) -> bool {
    let Some(head) = head else {
        // Runs lie in a folder with their drill's name.
        let parent = Path::new(folder).parent().and_then(Path::file_name);
        return parent.is_some_and(|name| name == asked.drill.as_str());
    };
    let tested = |digest: &String| head.subjects.iter().any(|s| s.digest.eq_ignore_ascii_case(digest));
    head.drill.as_str() == asked.drill
        && asked.environment.as_ref().is_none_or(|environment| *environment == head.environment)
        && subjects.iter().all(tested)
}

fn shown(dir: &Path) -> String {
    let text = dir.display().to_string();
    text.strip_suffix("/.").map_or(text.clone(), ToOwned::to_owned)
}
