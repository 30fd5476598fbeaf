//! From files to plans for the commands that need them: reads, finds each playbook's configuration, parses, lowers.
//! Everything wrong in any file is kept; nothing is printed here.

use super::files::{self, CONFIG_NAME};
use super::{Complaint, Exit};
use crate::config::Config;
use crate::plan::{self, Inputs, Plan};
use crate::playbook::{self, AfterFailure, Ast, Diagnostic, FileKind, GameDay, RenderStyle, SourceText, Window};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the user gives besides files.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Given {
    /// Set a parameter of the playbook
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// The configuration; `blackstart.yaml` beside the playbook or above it if not given
    #[arg(long, value_name = "FILE", env = "BLACKSTART_CONFIG")]
    config: Option<PathBuf>,
}

impl Given {
    /// The configuration that was named.
    pub fn config(&self) -> Option<&PathBuf> {
        self.config.as_ref()
    }

    /// The parameters that were set, in order.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE, as in rate=500/s")),
    }
}

/// What became of the files.
#[derive(Default)]
pub struct Loaded {
    /// The files that were read, with what each is.
    pub files: Vec<Read>,
    /// Everything wrong in any of them; warnings too.
    pub said: Vec<Diagnostic>,
    /// Files that could not be read at all.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// One file that was read.
pub struct Read {
    /// Its plans, in order: one, or one for each combination of its matrix, or those of a game day's drills; none if it
    /// is wrong.
    pub plans: Vec<Scheduled>,
    /// When a game day may run.
    pub window: Option<Window>,
}

/// A plan and its place among others.
pub struct Scheduled {
    /// The drill.
    pub plan: Plan,
    /// Its configuration.
    pub config: Arc<Config>,
    /// A pause after it.
    pub pause: Duration,
    /// What a verdict other than pass means for those after it.
    pub on_fail: AfterFailure,
}

impl Loaded {
    /// So many things are wrong.
    pub fn errors(&self) -> usize {
        self.said.iter().filter(|d| d.is_error()).count() + self.unreadable.len()
    }

    /// All that was said, drawn.
    pub fn drawn(&self, style: RenderStyle) -> String {
        let mut text = playbook::render_all(&self.said, style);
        for (path, why) in &self.unreadable {
            text.push_str(&format!("error: cannot read {}: {why}\n", path.display()));
        }
        text
    }

    /// All that was said, for programs.
    pub fn listed(&self) -> Vec<serde_json::Value> {
        let said = self.said.iter().map(|d| {
            let (line, column) = d.position();
            let severity = if d.is_error() { "error" } else { "warning" };
            json!({"file": d.source.path, "line": line, "column": column, "severity": severity,
                "message": d.message, "label": d.label, "help": d.help})
        });
        let unreadable = self.unreadable.iter().map(|(path, why)| {
            json!({"file": path, "line": null, "column": null, "severity": "error",
                "message": format!("cannot read it: {why}"), "label": "", "help": []})
        });
        said.chain(unreadable).collect()
    }

    /// The complaint that ends a command which needs them right.
    pub fn refusal(&self) -> Complaint {
        let (n, s) = (self.errors(), if self.errors() == 1 { "" } else { "s" });
        Complaint::new(Exit::Playbook, format!("{n} error{s}; nothing was touched"))
    }
}

/// Reads, parses and lowers all files.
///
/// # Errors
/// When the configuration that was named cannot be read. What is wrong in playbooks is in the result.
pub fn load(paths: &[PathBuf], given: &Given) -> Result<Loaded, Complaint> {
    let mut loader = Loader { given, configs: BTreeMap::new(), loaded: Loaded::default() };
    if let Some(named) = &given.config
        && let Err(why) = files::read(named)
    {
        return Err(Complaint::new(Exit::Usage, format!("cannot read {}: {why}", named.display())));
    }
    for path in paths {
        match files::read(path) {
            Ok(bytes) => loader.file(path, &bytes),
            Err(why) => loader.loaded.unreadable.push((path.clone(), why)),
        }
    }
    Ok(loader.loaded)
}

struct Loader<'a> {
    given: &'a Given,
    configs: BTreeMap<Option<PathBuf>, Arc<Config>>,
    loaded: Loaded,
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, bytes: &[u8]) {
        let Some(ast) = self.parse(path, bytes) else { return };
        let params = self.given.params.iter().cloned().collect();
        if ast.kind == FileKind::Configuration {
            // `drills/**` finds it too: it is checked like the playbooks beside it.
            let said = Config::parse(SourceText::from_bytes(path, bytes)).err();
            return self.loaded.said.extend(said.into_iter().flatten());
        }
        let read = if ast.kind == FileKind::GameDay {
            playbook::game_day(&ast).map(|day| self.game_day(path, day, &params))
        } else {
            Some(Read { plans: self.lower(path, &ast, &params), window: None })
        };
        self.loaded.files.extend(read);
    }

    fn parse(&mut self, path: &Path, bytes: &[u8]) -> Option<Ast> {
        let source = SourceText::from_bytes(path, bytes);
        let (asts, said) = playbook::load(std::slice::from_ref(&source), &files::read);
        self.loaded.said.extend(said);
        asts.into_iter().next()
    }

    /// The drills of a game day, in order. What the user gives on the command line wins over what the file gives.
    fn game_day(&mut self, path: &Path, day: GameDay, given: &BTreeMap<String, String>) -> Read {
        let mut plans = Vec::new();
        for entry in day.drills {
            let drill = path.parent().unwrap_or(Path::new("")).join(&entry.playbook);
            let params = entry.params.iter().chain(given).map(|(k, v)| (k.clone(), v.clone())).collect();
            let mut found = self.drill(&drill, &params);
            for scheduled in &mut found {
                scheduled.on_fail = entry.on_fail;
            }
            if let Some(last) = found.last_mut() {
                last.pause = entry.pause.map_or(Duration::ZERO, |pause| pause.0);
            }
            plans.extend(found);
        }
        Read { plans, window: day.window }
    }

    fn drill(&mut self, path: &Path, params: &BTreeMap<String, String>) -> Vec<Scheduled> {
        let bytes = match files::read(path) {
            Ok(bytes) => bytes,
            Err(why) => {
                self.loaded.unreadable.push((path.to_owned(), why));
                return Vec::new();
            }
        };
        match self.parse(path, &bytes) {
            Some(ast) if ast.kind == FileKind::Drill => self.lower(path, &ast, params),
            Some(_) => {
                self.loaded.unreadable.push((path.to_owned(), "a game day cannot hold another".to_owned()));
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn lower(&mut self, path: &Path, ast: &Ast, params: &BTreeMap<String, String>) -> Vec<Scheduled> {
        let config = self.config(path);
        let inputs = Inputs { params, env: &|name| std::env::var(name).ok(), config: &config };
        match plan::lower(ast, &inputs) {
            Ok(plans) => {
                self.loaded.said.extend(plans.first().into_iter().flat_map(|plan| plan.warnings.iter().cloned()));
                let (pause, on_fail) = (Duration::ZERO, AfterFailure::Continue);
                plans.into_iter().map(|plan| Scheduled { plan, config: config.clone(), pause, on_fail }).collect()
            }
            Err(said) => {
                self.loaded.said.extend(said);
                Vec::new()
            }
        }
    }

    /// The configuration for a playbook: the one that was named, or the nearest beside or above it. What is wrong in
    /// it is said once.
    fn config(&mut self, playbook: &Path) -> Arc<Config> {
        let path = self.given.config.clone().or_else(|| nearest(playbook));
        if let Some(known) = self.configs.get(&path) {
            return known.clone();
        }
        let config = Arc::new(path.as_ref().map_or_else(Config::default, |path| self.parse_config(path)));
        self.configs.insert(path, config.clone());
        config
    }

    fn parse_config(&mut self, path: &Path) -> Config {
        let parsed = match files::read(path) {
            Ok(bytes) => Config::parse(SourceText::from_bytes(path, &bytes)),
            Err(why) => {
                self.loaded.unreadable.push((path.to_owned(), why));
                return Config::default();
            }
        };
        parsed.unwrap_or_else(|said| {
            self.loaded.said.extend(said);
            Config::default()
        })
    }
}

/// `blackstart.yaml` in the playbook's folder or the nearest one above it.
pub(super) fn nearest(playbook: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(playbook).ok()?;
    let found = absolute.ancestors().skip(1).map(|dir| dir.join(CONFIG_NAME)).find(|file| file.is_file())?;
    // Shown as short as the playbook was given, where that says the same.
    let beside = playbook.parent().unwrap_or(Path::new("")).join(CONFIG_NAME);
    let same = std::path::absolute(&beside).is_ok_and(|path| path == found);
    Some(if same { beside } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_pairs() {
        assert_eq!(pair("rate=500/s"), Ok(("rate".to_owned(), "500/s".to_owned())));
        assert_eq!(pair("url=a=b"), Ok(("url".to_owned(), "a=b".to_owned())));
        assert!(pair("rate").is_err() && pair("=5").is_err());
    }

    #[test]
    fn the_nearest_configuration_counts() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let outer = dir.path().join(CONFIG_NAME);
        std::fs::write(&outer, "environments: {}\n").unwrap();
        assert_eq!(nearest(&inner.join("drill.yaml")), Some(outer));
        let beside = inner.join(CONFIG_NAME);
        std::fs::write(&beside, "environments: {}\n").unwrap();
        assert_eq!(nearest(&inner.join("drill.yaml")), Some(beside));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_among_others() {
        let loaded = load(&[PathBuf::from("/proc/self/mem")], &Given::default()).unwrap();
        assert_eq!(loaded.errors(), 1);
        assert!(loaded.drawn(RenderStyle::Plain).contains("cannot read /proc/self/mem"));
        assert_eq!(loaded.refusal().exit, Exit::Playbook);
    }
}
