//! Which files the user means: names, folders and patterns become a list of playbooks. What is no playbook is named
//! as skipped; nothing disappears silently.

use super::{Complaint, Exit};
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// Folders deeper or fuller than this are a mistake.
const MOST_FILES: usize = 10_000;
/// A playbook is not larger than this.
const MOST_BYTES: u64 = 4 << 20;
/// The configuration's name; it may lie beside playbooks.
pub const CONFIG_NAME: &str = "blackstart.yaml";

/// The files that were meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Playbooks, in order, each once.
    pub playbooks: Vec<PathBuf>,
    /// What lies there too and is no playbook.
    pub skipped: Vec<PathBuf>,
}

/// Finds all playbooks that the arguments name.
///
/// # Errors
/// When one names nothing, or too much.
pub fn find(arguments: &[PathBuf]) -> Result<Found, Complaint> {
    let mut found = Found::default();
    for argument in arguments {
        if argument.is_dir() {
            found.add_all(below(argument)?);
        } else if argument.exists() {
            found.add_named(argument.clone(), arguments.len());
        } else if is_pattern(argument) {
            let matched = matching(argument)?;
            if matched.is_empty() {
                return Err(Complaint::new(Exit::Usage, format!("no file matches {}", argument.display()))
                    .mend("a path, a folder, or a pattern such as 'drills/**/*.yaml'"));
            }
            found.add_all(matched);
        } else {
            return Err(Complaint::new(Exit::Usage, format!("there is no file {}", argument.display())));
        }
    }
    let mut seen = BTreeSet::new();
    found.playbooks.retain(|file| seen.insert(file.clone()));
    if found.playbooks.is_empty() {
        let mend = "blackstart init drill.yaml, to begin one";
        return Err(Complaint::new(Exit::Usage, "none of these files is a playbook").mend(mend));
    }
    Ok(found)
}

impl Found {
    /// A file that was named is a playbook, unless a shell's `**` named it among others that cannot be meant.
    fn add_named(&mut self, file: PathBuf, among: usize) {
        if among > 1 && !is_playbook(&file) { self.skipped.push(file) } else { self.playbooks.push(file) }
    }

    fn add_all(&mut self, files: Vec<PathBuf>) {
        for file in files {
            if is_playbook(&file) {
                self.playbooks.push(file);
            } else if is_yaml(&file) {
                self.skipped.push(file);
            }
        }
    }
}

/// Reads a file that a user named; its size is bounded.
///
/// # Errors
/// Why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|e| plain(&e))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| plain(&e))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("it is larger than {} MiB", MOST_BYTES >> 20));
    }
    Ok(bytes)
}

/// The system's reason without its number.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// YAML that begins like a playbook: a line of its own for one of the words that only playbooks have at the margin.
fn is_playbook(file: &Path) -> bool {
    const WORDS: [&str; 8] =
        ["drill:", "drills:", "game_day:", "objectives:", "workload:", "outage:", "failover:", "restore:"];
    if !is_yaml(file) || file.file_name().is_some_and(|name| name == CONFIG_NAME) {
        return false;
    }
    // What cannot be read is kept, so that validating it says why.
    read(file).map_or(true, |bytes| {
        String::from_utf8_lossy(&bytes).lines().any(|line| WORDS.iter().any(|word| line.starts_with(word)))
    })
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

/// All files below a folder, in order; links to folders are not followed.
fn below(folder: &Path) -> Result<Vec<PathBuf>, Complaint> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(dir) = waiting.pop() {
        let entries = fs::read_dir(&dir)
            .map_err(|e| Complaint::new(Exit::Usage, format!("cannot look into {}: {}", dir.display(), plain(&e))))?;
        for entry in entries.flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir { waiting.push(entry.path()) } else { files.push(entry.path()) }
        }
        if files.len() > MOST_FILES {
            let what = format!("more than {MOST_FILES} files below {}", folder.display());
            return Err(Complaint::new(Exit::Usage, what).mend("name the folder that holds the playbooks"));
        }
    }
    files.sort();
    Ok(files)
}

/// The files that match a pattern with `*`, `?`, `[…]` and `**`.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, Complaint> {
    let fixed: PathBuf = pattern.components().take_while(|part| !is_pattern(Path::new(part))).collect();
    let wanted =
        translate(pattern).map_err(|_| Complaint::new(Exit::Usage, format!("{} is no pattern", pattern.display())))?;
    let base = if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed };
    if !base.is_dir() {
        return Ok(Vec::new());
    }
    let files = below(&base)?;
    Ok(files.into_iter().map(tidy).filter(|file| wanted.is_match(&file.to_string_lossy())).collect())
}

fn tidy(path: PathBuf) -> PathBuf {
    path.strip_prefix(".").map_or(path.clone(), Path::to_owned)
}

/// The pattern as a regular expression over whole paths.
fn translate(pattern: &Path) -> Result<Regex, regex::Error> {
    let mut text = String::from("^");
    let parts: Vec<Component<'_>> = pattern.components().filter(|part| *part != Component::CurDir).collect();
    for (n, part) in parts.iter().enumerate() {
        let last = n + 1 == parts.len();
        match part.as_os_str().to_string_lossy().as_ref() {
            "/" => text.push('/'),
            "**" if last => text.push_str(".*"),
            "**" => text.push_str("(?:[^/]+/)*"),
            part => {
                part.chars().for_each(|c| push_wild(&mut text, c));
                text.push_str(if last { "" } else { "/" });
            }
        }
    }
    Regex::new(&(text + "$"))
}

fn push_wild(text: &mut String, c: char) {
    match c {
        '*' => text.push_str("[^/]*"),
        '?' => text.push_str("[^/]"),
        '[' | ']' | '-' => text.push(c),
        c => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        for (name, text) in [
            ("one.yaml", "drill: one\n"),
            ("a/two.yml", "# x\ndrill: two\n"),
            ("a/b/three.yaml", "outage: []\n"),
            ("a/b/values.yaml", "bootstrap:\n  drill: x\n"),
            ("a/up.sh", "drill: no\n"),
            ("blackstart.yaml", "environments: {}\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn names(dir: &Path, files: &[PathBuf]) -> Vec<String> {
        files.iter().map(|f| f.strip_prefix(dir).unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_folder_means_the_playbooks_below_it() {
        let dir = folder();
        let found = find(&[dir.path().to_owned()]).unwrap();
        assert_eq!(names(dir.path(), &found.playbooks), ["a/b/three.yaml", "a/two.yml", "one.yaml"]);
        assert_eq!(names(dir.path(), &found.skipped), ["a/b/values.yaml", "blackstart.yaml"]);
    }

    #[test]
    fn patterns_match_whole_paths() {
        let dir = folder();
        let matched = |pattern: &str| find(&[dir.path().join(pattern)]).map(|f| names(dir.path(), &f.playbooks));
        assert_eq!(matched("*.yaml").unwrap(), ["one.yaml"]);
        assert_eq!(matched("**/*.yaml").unwrap(), ["a/b/three.yaml", "one.yaml"]);
        assert_eq!(matched("a/**").unwrap(), ["a/b/three.yaml", "a/two.yml"]);
        assert_eq!(matched("a/tw?.yml").unwrap(), ["a/two.yml"]);
        assert_eq!(matched("x/*.yaml").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_named_file_is_meant_even_if_it_does_not_look_like_a_playbook() {
        let dir = folder();
        let named = dir.path().join("a/b/values.yaml");
        assert_eq!(find(std::slice::from_ref(&named)).unwrap().playbooks, [named]);
        assert_eq!(find(&[dir.path().join("none.yaml")]).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn what_a_shell_expanded_is_sorted_out() {
        let dir = folder();
        let all = below(dir.path()).unwrap();
        let found = find(&all).unwrap();
        assert_eq!(found.playbooks.len(), 3);
        assert_eq!(found.skipped.len(), 3);
    }

    #[test]
    fn an_endless_file_is_refused() {
        assert_eq!(read(Path::new("/dev/zero")), Err("it is larger than 4 MiB".to_owned()));
    }
}
