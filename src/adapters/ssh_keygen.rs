//! `ssh-keygen -Y sign`, for keys that this program does not hold: in an agent, on a token, behind a passphrase that an
//! agent knows. What is signed goes in by standard input, the signature comes out by standard output; no file is made, and
//! nobody is asked anything.

use super::{AdapterError, Command, Commands};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A person may have to touch a token.
const LIMIT: Duration = Duration::from_secs(30);

/// Signs a text with the key of a file, private or public.
///
/// # Errors
/// `Missing` if there is no `ssh-keygen`, `Refused` with what it said, `TimedOut`.
pub async fn sign(commands: &dyn Commands, key: &Path, namespace: &str, message: &str) -> Result<String, AdapterError> {
    // With a passphrase given, though an empty one, it does not ask for any.
    let words = ["ssh-keygen", "-Y", "sign", "-q", "-P", "", "-n", namespace, "-f"];
    let mut argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    argv.push(key.to_string_lossy().into_owned());
    let quiet = [("SSH_ASKPASS_REQUIRE", "never"), ("LC_ALL", "C")];
    let env: BTreeMap<String, String> = quiet.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let command = Command { argv, env, stdin: Some(message.to_owned()), cwd: None, timeout: LIMIT };
    let done = commands.run(&command).await.map_err(without_words)?;
    let begins = done.stdout.find("-----BEGIN SSH SIGNATURE-----");
    match (done.status, begins) {
        (Some(0), Some(at)) => Ok(done.stdout[at..].to_owned()),
        (status, _) => {
            let said = done.stderr.lines().map(str::trim).rev().find(|line| !line.is_empty()).unwrap_or_default();
            let status = status.map_or_else(|| "a signal".to_owned(), |status| format!("status {status}"));
            Err(AdapterError::Refused(format!("ssh-keygen ended with {status}: {said}")))
        }
    }
}

/// A time-out's message has the whole command line; this one is the same each time.
fn without_words(error: AdapterError) -> AdapterError {
    match error {
        AdapterError::TimedOut(_) => {
            AdapterError::TimedOut(format!("ssh-keygen did not sign within {} s", LIMIT.as_secs()))
        }
        other => other,
    }
}
