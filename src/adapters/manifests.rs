//! Objects of Kubernetes as people keep them: files in a folder, or in a Git repository at a commit. Read, never changed; what
//! is done with them is not known here.
//!
//! Files are read as `kubectl` does: YAML 1.1 for `0644` (octal) and `yes`, several documents in a file, lists taken apart.

use super::{AdapterError, Command, Commands};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many files may be in a folder.
const MOST_FILES: usize = 5_000;
/// All of them together may be so long.
const MOST_BYTES: u64 = 64 << 20;
/// Folders may be nested so deep.
const DEEPEST: usize = 16;

/// An object as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The file, below the folder.
    pub file: String,
    /// The object.
    pub object: Value,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Manifests {
    /// The objects, in the order of files' names and of the documents in each.
    pub objects: Vec<Manifest>,
    /// Bytes that were read.
    pub bytes: u64,
    /// SHA-256 over names and contents, hex.
    pub digest: String,
}

/// What was taken out of a Git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id, whole.
    pub id: String,
    /// When it was committed.
    pub when: Option<DateTime<Utc>>,
}

/// A Git repository that is asked for.
pub struct Repository<'a> {
    /// Where it is, as `git` takes it.
    pub url: &'a str,
    /// A branch, tag or commit.
    pub reference: &'a str,
    /// Variables for `git`; secrets belong here.
    pub env: &'a BTreeMap<String, String>,
}

/// The objects of all YAML and JSON files in a folder and below it, or of one file. Names that begin with a dot are left out.
///
/// # Errors
/// When something cannot be read, a link leads out of `root`, or it wants another program (kustomize, Helm).
pub fn read(root: &Path, below: &str) -> Result<Manifests, AdapterError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |e: std::io::Error| AdapterError::Missing(format!("cannot read {}: {e}", path.display()))
    };
    let asked = root.join(below);
    let (root, start) =
        (fs::canonicalize(root).map_err(failed(root))?, fs::canonicalize(&asked).map_err(failed(&asked))?);
    let mut walk = Walk { root: &root, files: Vec::new(), bytes: 0 };
    walk.visit(&start, 0)?;
    let (mut found, mut digest) = (Manifests::default(), Sha256::new());
    for (file, text) in &walk.files {
        digest.update(format!("{file}\0{}\0", text.len()));
        digest.update(text);
        let objects = parse(text).map_err(|why| AdapterError::Refused(format!("{file}: {why}")))?;
        found.objects.extend(objects.into_iter().map(|object| Manifest { file: file.clone(), object }));
    }
    found.bytes = walk.bytes;
    found.digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(found)
}

struct Walk<'a> {
    root: &'a Path,
    files: Vec<(String, String)>,
    bytes: u64,
}

impl Walk<'_> {
    fn visit(&mut self, path: &Path, depth: usize) -> Result<(), AdapterError> {
        let failed = |e: std::io::Error| AdapterError::Missing(format!("cannot read {}: {e}", path.display()));
        let refused = |why: &str| AdapterError::Refused(format!("{} {why}", path.display()));
        // A ConfigMap that is mounted is links within its folder; a link out of it is somebody else's file.
        let real = fs::canonicalize(path).map_err(failed)?;
        if !real.starts_with(self.root) {
            return Err(refused("leads out of the folder"));
        }
        if depth > DEEPEST {
            return Err(refused(&format!("lies deeper than {DEEPEST} folders")));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !real.is_dir() {
            return if named(&name) || depth == 0 { self.file(path, &name) } else { Ok(()) };
        }
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&real).map_err(failed)? {
            entries.push(path.join(entry.map_err(failed)?.file_name()));
        }
        entries.retain(|entry| !entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
        entries.sort();
        entries.iter().try_for_each(|entry| self.visit(entry, depth + 1))
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<(), AdapterError> {
        let shown = path.strip_prefix(self.root).unwrap_or(path).display().to_string();
        let refused = |why: String| AdapterError::Refused(format!("{shown} {why}"));
        match name {
            "kustomization.yaml" | "kustomization.yml" | "Kustomization" => {
                let help = "write a `restore: {command: …}` that runs `kubectl apply -k`";
                return Err(refused(format!("is for kustomize, which is not run here; {help}")));
            }
            "Chart.yaml" => {
                let help = "write a `restore: {command: …}` that runs `helm upgrade --install`";
                return Err(refused(format!("is for Helm, which is not run here; {help}")));
            }
            _ => {}
        }
        let length = fs::metadata(path).map(|facts| facts.len()).unwrap_or_default();
        self.bytes += length;
        if self.bytes > MOST_BYTES || self.files.len() >= MOST_FILES {
            return Err(refused(format!("is one too many: at most {MOST_FILES} files and {MOST_BYTES} bytes")));
        }
        let text = fs::read_to_string(path).map_err(|e| refused(format!("cannot be read: {e}")))?;
        self.files.push((shown, text));
        Ok(())
    }
}

/// Is it a file of objects, or of a program that makes some?
fn named(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ["yaml", "yml", "json"].contains(&ending) || name == "Kustomization"
}

/// The objects of a text, lists taken apart.
///
/// # Errors
/// Where and why it cannot be read. What stands there is not in the message: it may be a secret.
pub fn parse(text: &str) -> Result<Vec<Value>, String> {
    let options = serde_yaml::options! { legacy_octal_numbers: true, with_snippet: false };
    let documents: Vec<Value> = serde_yaml::from_multiple_with_options(text, options).map_err(|error| {
        let at = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
        format!("is no YAML{}", at.unwrap_or_default())
    })?;
    let mut objects = Vec::new();
    for document in documents {
        match document.get("items").and_then(Value::as_array) {
            Some(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {
                objects.extend(items.iter().cloned());
            }
            _ if document.is_null() => {}
            _ => objects.push(document),
        }
    }
    Ok(objects)
}

impl Repository<'_> {
    /// Takes one commit, and nothing before it, out into a folder that is made.
    ///
    /// # Errors
    /// `Refused` with git's words if it will not; `Missing` if there is no git.
    pub async fn checkout(
        &self,
        commands: &dyn Commands,
        into: &Path,
        limit: Duration,
    ) -> Result<Commit, AdapterError> {
        for word in [self.url, self.reference] {
            // Git would take it for an option.
            if word.starts_with('-') || word.is_empty() {
                return Err(AdapterError::Refused(format!("`{word}` is no address and no reference of Git")));
            }
        }
        let fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--", self.url, self.reference];
        let checkout = ["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", "FETCH_HEAD"];
        self.git(commands, into, &["init", "--quiet"], limit).await?;
        self.git(commands, into, &fetch, limit).await?;
        self.git(commands, into, &checkout, limit).await?;
        let said = self.git(commands, into, &["show", "--no-patch", "--format=%H %cI", "HEAD"], limit).await?;
        let (id, when) = said.trim().split_once(' ').unwrap_or((said.trim(), ""));
        let when = DateTime::parse_from_rfc3339(when).ok().map(|when| when.to_utc());
        Ok(Commit { id: id.to_owned(), when })
    }

    async fn git(
        &self,
        commands: &dyn Commands,
        folder: &Path,
        argv: &[&str],
        limit: Duration,
    ) -> Result<String, AdapterError> {
        let mut env = self.env.clone();
        // Nobody is there to type a password.
        env.entry("GIT_TERMINAL_PROMPT".to_owned()).or_insert_with(|| "0".to_owned());
        env.insert("LC_ALL".to_owned(), "C".to_owned());
        let argv = std::iter::once("git").chain(argv.iter().copied()).map(str::to_owned).collect();
        let command = Command { argv, env, stdin: None, cwd: Some(folder.to_path_buf()), timeout: limit };
        let output = commands.run(&command).await?;
        if output.status == Some(0) {
            return Ok(output.stdout);
        }
        let what = command.argv.iter().skip(1).find(|word| !word.starts_with('-')).cloned().unwrap_or_default();
        let said: Vec<&str> = output.stderr.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
        Err(AdapterError::Refused(format!("git {what}: {}", said.join("; "))))
    }
}

/// An address without its login.
#[must_use]
pub fn bare(url: &str) -> String {
    super::http::bare(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_are_read_as_kubectl_reads_them() {
        let text = "# a comment\n---\na: {mode: 0644, on: yes, text: \"0644\", version: 1.20}\n---\n\n---\n\
                    kind: ConfigMapList\nitems: [{kind: ConfigMap}, {kind: ConfigMap}]\n";
        let objects = parse(text).unwrap();
        assert_eq!(objects.len(), 3, "{objects:?}");
        assert_eq!(objects[0]["a"], json!({"mode": 420, "on": true, "text": "0644", "version": 1.2}));
        assert_eq!(parse(r#"{"kind": "Pod"}"#).unwrap(), vec![json!({"kind": "Pod"})]);
        let wrong = parse("kind: Secret\ndata: {password: aHVudGVyMg==, password: x\n").unwrap_err();
        assert!(wrong.contains("line") && !wrong.contains("aHVudGVy"), "{wrong}");
    }

    #[test]
    fn a_folder_is_read_in_order_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("shop/deep/.git")).unwrap();
        fs::write(at("shop/b.yaml"), "n: 1\n---\nn: 2\n").unwrap();
        fs::write(at("shop/a.json"), r#"{"n": 0}"#).unwrap();
        fs::write(at("shop/deep/c.yml"), "n: 3").unwrap();
        fs::write(at("shop/deep/.git/d.yaml"), "n: 9").unwrap();
        fs::write(at("shop/README.md"), "no object").unwrap();
        let found = read(folder.path(), "shop").unwrap();
        let numbers: Vec<i64> = found.objects.iter().filter_map(|m| m.object["n"].as_i64()).collect();
        assert_eq!((numbers, found.objects[0].file.as_str()), (vec![0, 1, 2, 3], "shop/a.json"));
        assert_eq!(read(folder.path(), "shop").unwrap().digest, found.digest);
        std::os::unix::fs::symlink("/etc/hostname", at("shop/e.yaml")).unwrap();
        let error = read(folder.path(), "shop").unwrap_err().to_string();
        assert!(error.contains("leads out of the folder"), "{error}");
        fs::remove_file(at("shop/e.yaml")).unwrap();
        fs::write(at("shop/kustomization.yaml"), "resources: []").unwrap();
        assert!(read(folder.path(), "shop").unwrap_err().to_string().contains("kustomize"));
        assert!(read(folder.path(), "none").unwrap_err().to_string().contains("none"));
        assert!(read(&at("shop"), "..").unwrap_err().to_string().contains("leads out"));
    }
}
