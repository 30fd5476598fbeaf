//! The files that a drill needs where it runs: the playbook, what it includes, its configuration, and the files beside it
//! that it names. What holds a secret stays here.

use super::super::playbooks::Scheduled;
use super::super::{Complaint, Exit, files};
use crate::inside::{File, FileMode, MOST_BYTES};
use crate::model::TargetSpec;
use crate::plan::SecretSource;
use crate::playbook::{self, SourceText};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a drill takes along.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// Its files, in order of their paths.
    pub files: Vec<File>,
    /// The playbook's path among them.
    pub playbook: String,
    /// Environment variables that the playbook is written with, as they are here.
    pub variables: BTreeMap<String, String>,
    /// What is not taken along, and what to do about it.
    pub left: Vec<String>,
}

/// Collects what a drill needs.
///
/// # Errors
/// When a file cannot be read, a secret would be taken along, or it is too much.
pub fn gather(drill: &Scheduled, extra: &[PathBuf]) -> Result<Gathered, Complaint> {
    let source = &drill.plan.source;
    let base = source.path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut paths = BTreeSet::from([real(&source.path)?]);
    let texts = texts(&source.path, &mut paths)?;
    if let Some(config) = &drill.config.path {
        paths.insert(real(config)?);
    }
    let (kept_here, left) = kept_here(drill, &base);
    let named = words(&source.resolved).filter(|word| !word.starts_with('/')).map(|word| base.join(word));
    paths.extend(named.filter(|path| path.is_file()).filter_map(|path| fs::canonicalize(path).ok()));
    for path in extra {
        below(&real(path)?, &mut paths)?;
    }
    paths.retain(|path| !kept_here.contains(path));
    let root = common(&paths);
    let files = paths.iter().map(|path| read(path, &root)).collect::<Result<Vec<File>, Complaint>>()?;
    let gathered = Gathered {
        playbook: below_root(&real(&source.path)?, &root),
        variables: texts.iter().flat_map(|text| variables(text)).collect(),
        left,
        files,
    };
    fits(&gathered.files)?;
    no_secret(&gathered.files, drill)?;
    Ok(gathered)
}

fn real(path: &Path) -> Result<PathBuf, Complaint> {
    fs::canonicalize(path)
        .map_err(|e| Complaint::new(Exit::Usage, format!("cannot take {} along: {}", path.display(), files::plain(&e))))
}

/// The texts of the playbook and what it includes; their paths are added.
fn texts(playbook: &Path, paths: &mut BTreeSet<PathBuf>) -> Result<Vec<String>, Complaint> {
    let bytes = files::read(playbook).map_err(|why| Complaint::new(Exit::Usage, why))?;
    let source = SourceText::from_bytes(playbook, &bytes);
    let (asts, _) = playbook::load(std::slice::from_ref(&source), &files::read);
    let mut texts = Vec::new();
    for source in asts.into_iter().flat_map(|ast| ast.sources.0) {
        paths.insert(real(&source.path)?);
        texts.push(source.text.to_string());
    }
    Ok(texts)
}

/// Words that could be paths.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let path = |c: char| c.is_alphanumeric() || "_./@%+~-".contains(c);
    text.split(move |c: char| !path(c)).filter(|word| word.contains(['.', '/']) || word.len() > 2)
}

/// Variables that a text is written with, as they are here.
fn variables(text: &str) -> Vec<(String, String)> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let names = text.split("${env.").skip(1).map(name);
    names.filter_map(|name| std::env::var(&name).ok().map(|value| (name, value))).collect()
}

/// Files that hold secrets, and what is to be said about what stays here.
fn kept_here(drill: &Scheduled, base: &Path) -> (BTreeSet<PathBuf>, Vec<String>) {
    let (mut paths, mut left) = (BTreeSet::new(), Vec::new());
    for (name, source) in &drill.plan.secrets {
        match source {
            SecretSource::File(file) => {
                paths.extend(fs::canonicalize(base.join(file.to_string())));
                left.push(format!("secret `{name}` is read from {file}, which is not taken along: --secret NAME=DIR puts a Secret there"));
            }
            SecretSource::Env(variable) => {
                left.push(format!(
                    "secret `{name}` is read from the variable {variable}: --secret NAME, with that key in it"
                ));
            }
            SecretSource::Command(_) => {}
        }
    }
    for (name, target) in &drill.plan.targets {
        if let TargetSpec::Kubernetes(target) = &target.spec
            && let Some(file) = &target.kubeconfig
        {
            paths.extend(fs::canonicalize(base.join(file.to_string())));
            left.push(format!(
                "target `{name}` names the kubeconfig {file}, which is not taken along: --secret NAME=DIR puts a Secret there; without \
                 one the pod's own account is meant"
            ));
        }
    }
    (paths, left)
}

fn below(path: &Path, paths: &mut BTreeSet<PathBuf>) -> Result<(), Complaint> {
    const MOST: usize = 1_000;
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_file() {
            paths.insert(path);
        } else {
            let failed =
                |e| Complaint::new(Exit::Usage, format!("cannot look into {}: {}", path.display(), files::plain(&e)));
            // Links are not followed.
            let entries = fs::read_dir(&path).map_err(failed)?.flatten();
            waiting.extend(entries.filter(|e| e.file_type().is_ok_and(|t| !t.is_symlink())).map(|e| e.path()));
        }
        if paths.len() > MOST {
            return Err(Complaint::new(Exit::Usage, format!("more than {MOST} files are too many to take along"))
                .mend("an image that has them"));
        }
    }
    Ok(())
}

/// The deepest folder that holds them all.
fn common(paths: &BTreeSet<PathBuf>) -> PathBuf {
    let mut folders = paths.iter().filter_map(|path| path.parent());
    let first = folders.next().unwrap_or(Path::new("/")).to_owned();
    folders.fold(first, |root, folder| {
        root.ancestors().find(|above| folder.starts_with(above)).unwrap_or(Path::new("/")).to_owned()
    })
}

fn below_root(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn read(path: &Path, root: &Path) -> Result<File, Complaint> {
    let bytes = files::read(path)
        .map_err(|why| Complaint::new(Exit::Usage, format!("cannot take {} along: {why}", path.display())))?;
    let mode = fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    let kind = if mode & 0o111 == 0 { FileMode::Read } else { FileMode::Execute };
    Ok(File { path: below_root(path, root), bytes, kind })
}

fn fits(files: &[File]) -> Result<(), Complaint> {
    let size: usize = files.iter().map(|file| file.bytes.len() + file.path.len()).sum();
    if size <= MOST_BYTES {
        return Ok(());
    }
    let largest = files.iter().max_by_key(|file| file.bytes.len()).map_or("", |file| file.path.as_str());
    let what = format!(
        "the drill's files are {size} bytes, more than a ConfigMap takes ({MOST_BYTES}); the largest is {largest}"
    );
    Err(Complaint::new(Exit::Usage, what).mend("an image that has them, and absolute paths in the playbook"))
}

/// A secret whose value is known here must not be among them.
fn no_secret(files: &[File], drill: &Scheduled) -> Result<(), Complaint> {
    for (name, source) in &drill.plan.secrets {
        let SecretSource::Env(variable) = source else { continue };
        let Some(value) = std::env::var(variable).ok().filter(|value| value.len() >= 8) else { continue };
        let holds = |file: &&File| file.bytes.windows(value.len()).any(|part| part == value.as_bytes());
        if let Some(file) = files.iter().find(holds) {
            let what = format!("the value of the secret `{name}` stands in {}: it is not taken along", file.path);
            return Err(
                Complaint::new(Exit::Usage, what).mend("take it out of that file; a Secret of the cluster holds it")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_all_is_the_deepest() {
        let paths = ["/a/b/c.yaml", "/a/b/d/e.yaml", "/a/x.yaml"].map(PathBuf::from);
        assert_eq!(common(&BTreeSet::from(paths.clone())), Path::new("/a"));
        assert_eq!(common(&paths.into_iter().take(2).collect()), Path::new("/a/b"));
    }

    #[test]
    fn words_are_what_could_be_paths() {
        let found: Vec<&str> = words("command: [./up.sh, --dir, \"/tmp/x\"]").collect();
        assert!(found.contains(&"./up.sh") && found.contains(&"/tmp/x"), "{found:?}");
    }

    #[test]
    fn variables_are_those_that_are_here() {
        let path = std::env::var("PATH").unwrap();
        assert_eq!(variables("a: ${env.PATH} b: ${env.NOT_HERE_AT_ALL}"), [("PATH".to_owned(), path)]);
    }
}
