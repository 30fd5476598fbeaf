//! The kill switch: whoever engages it stops every drill at once and lets no new one begin. A file in the state directory
//! (`blackstart kill-switch on`, or SIGUSR1 to a runner), further files, and a URL. What stopping means is decided elsewhere.

use crate::adapters::{Request, World};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "kill-switch";
const ASK: Duration = Duration::from_secs(5);
/// A reason is a line for people.
const LONGEST: usize = 300;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillSwitch {
    files: Vec<PathBuf>,
    url: Option<String>,
    every: Duration,
    tolerate: u32,
}

impl KillSwitch {
    /// The file in the state directory only.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { files: vec![state_dir.join(NAME)], url: None, every: Duration::from_secs(2), tolerate: 2 }
    }

    /// Also engaged while this file exists.
    #[must_use]
    pub fn or_file(mut self, file: PathBuf) -> Self {
        self.files.push(file);
        self
    }

    /// Also engaged unless this URL answers `{"engaged": false}`; it is asked that often, and may fail to answer so many
    /// times in a row: a switch that cannot be asked protects nobody.
    #[must_use]
    pub fn or_url(self, url: String, every: Duration, tolerate: u32) -> Self {
        Self { url: Some(url), every, tolerate, ..self }
    }

    /// How often the URL is asked; none if there is none.
    #[must_use]
    pub fn asks_every(&self) -> Option<Duration> {
        self.url.as_ref().map(|_| self.every)
    }

    /// So many questions may remain unanswered.
    #[must_use]
    pub fn tolerates(&self) -> u32 {
        self.tolerate
    }

    /// Why it is engaged, as far as files say; a file that cannot be read engages it.
    #[must_use]
    pub fn engaged(&self) -> Option<String> {
        self.files.iter().find_map(|file| match fs::read_to_string(file) {
            Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => None,
            Err(error) => Some(format!("{} cannot be read: {error}", file.display())),
            Ok(text) => {
                let reason: String = text.lines().next().unwrap_or_default().chars().take(LONGEST).collect();
                let reason = if reason.trim().is_empty() { "no reason is given".to_owned() } else { reason };
                Some(format!("{reason} ({})", file.display()))
            }
        })
    }

    /// What the URL says: released, engaged and why, or no answer.
    pub async fn ask(&self, world: &World) -> Asked {
        let Some(url) = &self.url else { return Asked::Released };
        let headers = BTreeMap::from([("accept".to_owned(), "application/json".to_owned())]);
        let request = Request { method: "GET".to_owned(), url: url.clone(), headers, body: None, timeout: ASK };
        let answer = match world.http.send(&request).await {
            Ok(answer) if (200..300).contains(&answer.status) => answer,
            Ok(answer) => return Asked::Silent(format!("it answers with status {}", answer.status)),
            Err(error) => return Asked::Silent(error.to_string()),
        };
        let said: Result<Said, _> = serde_json::from_str(&answer.body);
        match said {
            Ok(Said { engaged: false, .. }) => Asked::Released,
            Ok(Said { reason, .. }) => Asked::Engaged(reason.unwrap_or_else(|| "no reason is given".to_owned())),
            Err(_) => Asked::Silent("it does not answer {\"engaged\": true or false}".to_owned()),
        }
    }

    /// Why no run may begin now.
    pub async fn forbids(&self, world: &World) -> Option<String> {
        match (self.engaged(), self.ask(world).await) {
            (Some(why), _) | (None, Asked::Engaged(why)) => Some(format!("the kill switch is engaged: {why}")),
            (None, Asked::Silent(why)) => Some(format!("the kill switch cannot be asked: {why}")),
            (None, Asked::Released) => None,
        }
    }
}

/// What a URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Drills may go on.
    Released,
    /// They must stop, and why.
    Engaged(String),
    /// Nobody knows, and why.
    Silent(String),
}

#[derive(serde::Deserialize)]
struct Said {
    engaged: bool,
    reason: Option<String>,
}

/// Engages the switch of a state directory; on the disk when it returns.
///
/// # Errors
/// When the file cannot be written.
pub fn engage(state_dir: &Path, reason: &str) -> std::io::Result<()> {
    fs::create_dir_all(state_dir)?;
    let mut file = fs::File::create(state_dir.join(NAME))?;
    writeln!(file, "{}", reason.replace('\n', " "))?;
    file.sync_all()
}

/// Releases it; that it was not engaged is no error.
///
/// # Errors
/// When the file cannot be removed.
pub fn release(state_dir: &Path) -> std::io::Result<()> {
    match fs::remove_file(state_dir.join(NAME)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_engaged_while_a_file_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let switch = KillSwitch::of(&state).or_file(dir.path().join("also"));
        assert_eq!(switch.engaged(), None);
        engage(&state, "a real\nincident").unwrap();
        assert!(switch.engaged().unwrap().starts_with("a real incident ("), "{:?}", switch.engaged());
        release(&state).unwrap();
        release(&state).unwrap();
        assert_eq!(switch.engaged(), None);
        fs::write(dir.path().join("also"), "").unwrap();
        assert!(switch.engaged().unwrap().starts_with("no reason is given"));
    }

    #[test]
    fn a_file_that_cannot_be_read_engages_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(NAME)).unwrap();
        assert!(KillSwitch::of(dir.path()).engaged().unwrap().contains("cannot be read"));
    }
}
