//! What faults, probes and restores may use: the world, and what references stand for; and the few things that all of
//! them do with it (fill in a command, run it, send a request).

use super::FaultError;
use super::kubernetes::Home;
use crate::adapters::{Command, Fut, Request, Vault, World};
use crate::model::{
    CommandSpec, Owner, PinnedTarget, Reference, RequestSpec, RunSpec, TargetRef, TargetSpec, Template,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The variable that tells a fault's commands whose they are, as `RUN/FAULT`: a script can name what it leaves behind
/// after it, and a command that outlives its runner is found by it.
pub const OWNER: &str = "BLACKSTART_FAULT";

/// What a fault may use: the world, and what references stand for. Shared by `exec` and `recover`.
pub struct Cx<'a> {
    /// The outside world.
    pub world: &'a World,
    /// Fills in references and resolves targets.
    pub scope: &'a dyn Scope,
    /// Whose everything is that is left on a host; the fault is empty for a probe or a step.
    pub owner: Owner,
}

/// Fills in references and resolves targets; `exec` has the whole drill, `recover` only secrets and the journal.
pub trait Scope: Send + Sync {
    /// What a reference stands for; the text may be a secret and must not be logged.
    ///
    /// # Errors
    /// A message that names the reference and says why.
    fn lookup(&self, reference: &Reference) -> Result<String, String>;
    /// A target, pinned or resolved now.
    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>>;
    /// The URL of a target of kind `http`, `kv` or `postgres` with its secrets filled in; it must not be logged.
    ///
    /// # Errors
    /// A message that names the target and says why.
    fn url(&self, target: &TargetRef) -> Result<String, String>;
    /// Where a run inside a cluster keeps what reaches out of it; none for any other run.
    fn home(&self) -> Option<&Home> {
        None
    }
    /// What a target is, with everything filled in but secrets.
    ///
    /// # Errors
    /// A message that names the target and says why.
    fn spec(&self, target: &TargetRef) -> Result<TargetSpec, String> {
        Err(format!("nothing says what `{}` is", target.name()))
    }
    /// What of the user's own data is not as it was before the outage, by the name of its fingerprint; in words.
    ///
    /// # Errors
    /// When that cannot be known.
    fn differences<'a>(&'a self, fingerprint: &'a str) -> Fut<'a, Result<Vec<String>, String>> {
        Box::pin(async move { Err(format!("nobody knows what `{fingerprint}` was before the outage")) })
    }
    /// The same of a copy at another target.
    ///
    /// # Errors
    /// When that cannot be known.
    fn differences_at<'a>(
        &'a self,
        fingerprint: &'a str,
        target: &'a TargetRef,
    ) -> Fut<'a, Result<Vec<String>, String>> {
        let at = target.name();
        Box::pin(
            async move { Err(format!("nobody knows what `{fingerprint}` was before the outage, or is at `{at}`")) },
        )
    }
    /// When the drill began, by this machine's wall clock.
    fn began(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::UNIX_EPOCH
    }
    /// The folder that relative paths start from.
    fn base(&self) -> PathBuf;
    /// Where bytes are kept that must be put back.
    fn vault(&self) -> Vault;
}

/// How a command or request that was to do something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Did it succeed? A refusal is data.
    pub ok: bool,
    /// One or two short lines: what was done, and what was said.
    pub detail: String,
    /// Standard output, or the answer's body.
    pub answer: String,
}

impl Cx<'_> {
    /// The text with everything filled in.
    ///
    /// # Errors
    /// When a reference cannot be filled in.
    pub fn text(&self, template: &Template) -> Result<String, FaultError> {
        template.render(|r| self.scope.lookup(r)).map_err(FaultError::Reference)
    }

    /// A word of a command line with everything filled in. Every user can read those, so no secret may stand there.
    ///
    /// # Errors
    /// When a reference cannot be filled in, or is a secret.
    pub fn word(&self, template: &Template) -> Result<String, FaultError> {
        if template.references().any(|reference| matches!(reference, Reference::Secret(_))) {
            return Err(FaultError::Reference(format!("`{template}` would show a secret in the process list")));
        }
        self.text(template)
    }

    /// Words that stand before a command; a relative program starts from the playbook's folder.
    ///
    /// # Errors
    /// As [`Cx::word`].
    pub fn prefix(&self, templates: &[Template]) -> Result<Vec<String>, FaultError> {
        let mut words = templates.iter().map(|template| self.word(template)).collect::<Result<Vec<_>, _>>()?;
        if let Some(program) = words.first_mut().filter(|p| p.contains('/')) {
            *program = self.scope.base().join(&*program).to_string_lossy().into_owned();
        }
        Ok(words)
    }

    /// The template with everything filled in but secrets: what may be journaled.
    #[must_use]
    pub fn journalable(&self, template: &Template) -> Template {
        template.fill(|r| match r {
            Reference::Secret(_) => None,
            other => self.scope.lookup(other).ok(),
        })
    }

    /// A command with everything filled in; relative programs and folders start from the playbook's folder.
    ///
    /// # Errors
    /// When a reference cannot be filled in, or a secret stands in an argument (every user could read it there).
    pub fn command(&self, spec: &CommandSpec) -> Result<Command, FaultError> {
        if spec.argv.iter().flat_map(Template::references).any(|r| matches!(r, Reference::Secret(_))) {
            let why = "a secret in a command's arguments could be read in the process list; pass it by `env`";
            return Err(FaultError::Reference(why.to_owned()));
        }
        let base = self.scope.base();
        let mut argv = spec.argv.iter().map(|t| self.text(t)).collect::<Result<Vec<_>, _>>()?;
        if let Some(program) = argv.first_mut().filter(|p| p.contains('/')) {
            *program = base.join(&*program).to_string_lossy().into_owned();
        }
        let env = spec.env.iter().map(|(k, t)| Ok((k.clone(), self.text(t)?)));
        let mut env = env.collect::<Result<BTreeMap<_, _>, FaultError>>()?;
        if !self.owner.fault.as_str().is_empty() {
            env.insert(OWNER.to_owned(), self.owner.to_string());
        }
        let stdin = spec.stdin.as_ref().map(|t| self.text(t)).transpose()?;
        let cwd = spec.cwd.as_ref().map(|t| self.text(t)).transpose()?;
        let cwd = cwd.map_or_else(|| base.clone(), |c| base.join(c));
        let timeout = spec.timeout.map_or(COMMAND_TIMEOUT, |d| d.0);
        Ok(Command { argv, env, stdin, cwd: Some(folder(&cwd)), timeout })
    }

    /// A request with everything filled in.
    ///
    /// # Errors
    /// When a reference cannot be filled in.
    pub fn request(&self, spec: &RequestSpec) -> Result<Request, FaultError> {
        Ok(Request {
            method: spec.method.clone(),
            url: self.text(&spec.url)?,
            headers: spec
                .headers
                .iter()
                .map(|(k, t)| Ok((k.clone(), self.text(t)?)))
                .collect::<Result<_, FaultError>>()?,
            body: spec.body.as_ref().map(|t| self.text(t)).transpose()?.map(String::into_bytes),
            timeout: spec.timeout.map_or(REQUEST_TIMEOUT, |d| d.0),
        })
    }

    /// Runs a command or sends a request that is to do something. That it was refused is data.
    ///
    /// # Errors
    /// When nobody knows whether it was done.
    pub async fn run(&self, spec: &RunSpec) -> Result<Done, FaultError> {
        match spec {
            RunSpec::Command(command) => self.run_command(command).await,
            RunSpec::Request(request) => self.run_request(request).await,
        }
    }

    /// Runs a command; exit status 0 is success.
    ///
    /// # Errors
    /// When it could not be started, or did not end in time.
    pub async fn run_command(&self, spec: &CommandSpec) -> Result<Done, FaultError> {
        let command = self.command(spec)?;
        let output = self.world.commands.run(&command).await?;
        let program = spec.argv.first().map(ToString::to_string).unwrap_or_default();
        let how = output.status.map_or_else(|| "was ended by a signal".to_owned(), |s| format!("exit status {s}"));
        let ok = output.status == Some(0);
        let said = if ok || output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
        Ok(Done {
            ok,
            detail: with_quote(&format!("{program}: {how}"), last_lines(said), length(ok)),
            answer: output.stdout,
        })
    }

    async fn run_request(&self, spec: &RequestSpec) -> Result<Done, FaultError> {
        let answer = self.world.http.send(&self.request(spec)?).await?;
        let ok = match &spec.status[..] {
            [] => (200..300).contains(&answer.status),
            wanted => wanted.contains(&answer.status),
        };
        let what = format!("{} {}: status {}", spec.method, spec.url, answer.status);
        Ok(Done { ok, detail: with_quote(&what, &answer.body, length(ok)), answer: answer.body })
    }
}

/// What went well needs fewer words.
fn length(ok: bool) -> usize {
    if ok { 80 } else { 400 }
}

fn folder(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_path_buf() }
}

fn last_lines(text: &str) -> &str {
    let text = text.trim();
    let from = text.rmatch_indices('\n').nth(2).map_or(0, |(at, _)| at + 1);
    &text[from..]
}

fn with_quote(what: &str, said: &str, most: usize) -> String {
    let said = said.trim();
    if said.is_empty() { what.to_owned() } else { format!("{what}: {}", quote(said, most)) }
}

/// The beginning of a text, in characters, for a message.
pub(crate) fn quote(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Parameters with every reference filled in but secrets: what a journal may hold and another process can heal by.
#[must_use]
pub fn journaled(value: serde_json::Value, cx: &Cx<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) if text.contains("${") => Value::String(match Template::parse(&text) {
            Ok(template) => cx.journalable(&template).to_string(),
            Err(_) => text,
        }),
        Value::Array(list) => list.into_iter().map(|v| journaled(v, cx)).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, journaled(v, cx))).collect(),
        other => other,
    }
}

/// A command or request as a line that a person can paste into a shell, secrets by name.
#[must_use]
pub fn shell(spec: &RunSpec, base: &Path) -> String {
    match spec {
        RunSpec::Command(command) => {
            let cwd = command.cwd.as_ref().map_or_else(|| base.to_path_buf(), |c| base.join(c.to_string()));
            let env = command.env.iter().map(|(k, v)| format!("{k}={} ", word(&v.to_string())));
            let argv: Vec<String> = command.argv.iter().map(|t| word(&t.to_string())).collect();
            format!("cd {} && {}{}", word(&folder(&cwd).to_string_lossy()), env.collect::<String>(), argv.join(" "))
        }
        RunSpec::Request(request) => {
            let headers = request.headers.iter().map(|(k, v)| format!(" -H {}", word(&format!("{k}: {v}"))));
            let body = request.body.as_ref().map(|b| format!(" -d {}", word(&b.to_string()))).unwrap_or_default();
            let headers: String = headers.collect();
            format!("curl -X {}{headers}{body} {}", request.method, word(&request.url.to_string()))
        }
    }
}

/// A word as a shell reads it.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
