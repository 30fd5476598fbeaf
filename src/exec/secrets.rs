//! Reads secrets once, from where the playbook says they are. Their values live in memory only.

use super::redact::Redactor;
use super::scene::Scene;
use crate::plan::SecretSource;
use crate::redact::{SHORTEST, Strength};
use secrecy::SecretString;

/// Reads those that are not read yet and tells the redactor. `Err` names those that could not be read; one that needs
/// the staging may be read later.
pub(super) async fn read(scene: &Scene, redactor: &Redactor) -> Result<(), Vec<String>> {
    let mut errors = Vec::new();
    for (name, source) in scene.sources() {
        if scene.has_secret(name) {
            continue;
        }
        match value(source, scene).await {
            Ok(value) => {
                redactor.forms.register(name, &value);
                scene.set_secret(name, SecretString::from(value));
            }
            Err(why) => errors.push(format!("secret `{name}`: {why}")),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Reads those that need no staging, before anything is written down. What cannot be read is said by [`read`], later.
pub(super) async fn early(scene: &Scene, redactor: &Redactor) {
    for (name, source) in scene.sources() {
        if !needs_staging(source)
            && let Ok(value) = value(source, scene).await
        {
            redactor.forms.register(name, &value);
            scene.set_secret(name, SecretString::from(value));
        }
    }
}

/// What is to be said about secrets that cannot be kept out of the record: one line for each.
pub(super) fn weak(redactor: &Redactor) -> Vec<String> {
    let words = |(name, strength): (String, Strength)| {
        if strength == Strength::TooShort {
            return format!(
                "the secret `{name}` is shorter than {SHORTEST} characters: it cannot be taken out of the record; use a longer one"
            );
        }
        format!(
            "the secret `{name}` is a plain word: it is taken out of texts, but files are not searched for it; use a longer \
             one of several kinds of characters"
        )
    };
    redactor.forms.weak().into_iter().map(words).collect()
}

async fn value(source: &SecretSource, scene: &Scene) -> Result<String, String> {
    let cx = scene.cx();
    let text = match source {
        SecretSource::Env(variable) => {
            std::env::var(variable).map_err(|_| format!("the environment variable {variable} is not set"))?
        }
        SecretSource::File(path) => {
            let path = cx.scope.base().join(cx.text(path).map_err(|e| e.to_string())?);
            std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?
        }
        SecretSource::Command(command) => {
            let done = cx.run_command(command).await.map_err(|e| e.to_string())?;
            if !done.ok {
                // What it said may hold the secret.
                return Err("its command failed".to_owned());
            }
            done.answer
        }
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Does it need what only a staging that is up can say?
pub(super) fn needs_staging(source: &SecretSource) -> bool {
    let text = serde_json::to_string(source).unwrap_or_default();
    text.contains("${staging.")
}
