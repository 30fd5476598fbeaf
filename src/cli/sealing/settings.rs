//! What was asked for of a run's evidence, and the copy of it that is kept in the state directory while the run goes on. It
//! names keys and places and holds no secret: a bucket's log-in is read from the environment each time.

use super::{Asked, chain};
use crate::adapters::{ProcessState, World};
use crate::cli::playbooks::Scheduled;
use crate::cli::{Complaint, Exit};
use crate::config::Config;
use crate::evidence::place;
use crate::exec::RunOptions;
use crate::model::{ProcessIdentity, RunId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The folder of the state directory that holds them.
const FOLDER: &str = "sealing";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub dir: PathBuf,
    /// Who runs it.
    pub runner: Option<ProcessIdentity>,
    /// The key.
    pub sign_with: Option<PathBuf>,
    /// The chain's name.
    pub chain: String,
    /// Where its head is kept: a folder, or `s3://…`; none: it has no place in it.
    pub keep: Option<String>,
    /// Who stamps.
    pub timestamp: Option<Authority>,
}

/// A time-stamping authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Its URL.
    pub url: String,
    /// Certificates that are trusted for TLS.
    pub ca: Option<PathBuf>,
}

impl Settings {
    /// Of a run that begins: flags first, then the configuration.
    pub(super) fn new(args: &Asked, drill: &Scheduled, options: &RunOptions, world: &World) -> Result<Self, Complaint> {
        let asked = &drill.config.evidence;
        let beside = |path: &Path| absolute(&folder_of(&drill.config).join(path));
        let sign_with = args.sign_with.as_deref().map(absolute);
        let sign_with = sign_with.or_else(|| asked.signing.as_ref().map(|signing| beside(&signing.key)));
        let keep = match (&args.chain, &asked.chain) {
            (Some(text), _) | (None, Some(text)) if text.starts_with(chain::BUCKET) => text.clone(),
            (Some(folder), _) => absolute(Path::new(folder)).display().to_string(),
            (None, Some(folder)) => beside(Path::new(folder)).display().to_string(),
            (None, None) => absolute(&options.state_dir.join("chain")).display().to_string(),
        };
        let runner = args.chain_name.clone().or_else(|| asked.chain_name.clone()).unwrap_or_else(chain::this_runner);
        let ca = asked.timestamp.as_ref().and_then(|stamp| stamp.ca.as_deref()).map(beside);
        let url = args.timestamp.clone().or_else(|| asked.timestamp.as_ref().map(|stamp| stamp.url.clone()));
        if let Some(wrong) = url.iter().chain([&keep]).find(|url| url.contains("://") && holds_a_login(url)) {
            let what =
                format!("`{}` holds a log-in, and would be written down", wrong.split("://").next().unwrap_or(""));
            return Err(Complaint::new(Exit::Usage, what).mend("a URL without `user:password@`"));
        }
        let dir = options.reports_dir.join(drill.plan.name.as_str()).join(options.run.as_str());
        let own = i32::try_from(std::process::id()).ok();
        Ok(Self {
            run: options.run.clone(),
            dir: absolute(&dir),
            runner: own.and_then(|pid| world.processes.identify(pid).ok().flatten()),
            sign_with,
            chain: crate::evidence::chain::name(drill.plan.name.as_str(), &drill.plan.environment, &runner),
            keep: Some(keep),
            timestamp: url.map(|url| Authority { url, ca }),
        })
    }

    /// Of a run of which nothing was kept.
    pub(super) fn unknown(run: &RunId, dir: &Path) -> Self {
        let (run, dir, chain) = (run.clone(), dir.to_path_buf(), String::new());
        Self { run, dir, runner: None, sign_with: None, chain, keep: None, timestamp: None }
    }

    pub(super) fn keep_in(&self, state_dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(state_dir.join(FOLDER))?;
        place::put(&file(state_dir, &self.run), &serde_json::to_vec(self)?)
    }

    pub(super) fn kept_in(state_dir: &Path, run: &RunId) -> Option<Self> {
        read(&file(state_dir, run)).filter(|settings| settings.run == *run)
    }

    pub(super) fn forget_in(&self, state_dir: &Path) {
        // What stays is looked at by `recover`, and is for a run that is sealed.
        drop(place::remove(&file(state_dir, &self.run)));
    }
}

/// Settings of runs whose runner is gone.
#[must_use]
pub fn abandoned(state_dir: &Path, world: &World) -> Vec<Settings> {
    let entries = std::fs::read_dir(state_dir.join(FOLDER)).into_iter().flatten().flatten();
    let mut all: Vec<Settings> = entries.filter_map(|entry| read(&entry.path())).collect();
    all.retain(|settings| {
        let state = settings.runner.as_ref().map(|who| world.processes.state(who));
        matches!(state, None | Some(Ok(ProcessState::Gone)))
    });
    all.sort_by(|a, b| a.run.cmp(&b.run));
    all
}

fn read(path: &Path) -> Option<Settings> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// A run's name is checked before it is taken; one that a damaged record made up leads nowhere else all the same.
fn file(state_dir: &Path, run: &RunId) -> PathBuf {
    state_dir.join(FOLDER).join(format!("{}.json", run.as_str().replace(['/', '\0'], "_")))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn folder_of(config: &Config) -> &Path {
    config.path.as_ref().and_then(|file| file.parent()).unwrap_or(Path::new(""))
}

fn holds_a_login(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunId::from("20261120T120000Z-a");
        let settings = Settings::unknown(&run, Path::new("/r"));
        assert_eq!(Settings::kept_in(dir.path(), &run), None);
        settings.keep_in(dir.path()).unwrap();
        assert_eq!(Settings::kept_in(dir.path(), &run), Some(settings.clone()));
        assert_eq!(abandoned(dir.path(), &World::system()), std::slice::from_ref(&settings));
        settings.forget_in(dir.path());
        assert_eq!(abandoned(dir.path(), &World::system()), []);
    }

    #[test]
    fn a_log_in_in_a_url_is_seen() {
        assert!(holds_a_login("https://me:secret@tsa.example.org/x"));
        assert!(!holds_a_login("https://tsa.example.org/x@y") && !holds_a_login("s3://bucket/a@b"));
    }
}
