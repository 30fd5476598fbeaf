//! Puts the archive of a run into a bucket, locked if that is asked for, and says what to do when it did not work. A drill's
//! result does not depend on it unless the user says so.

use super::bundle::{self, Unsealed};
use super::{Complaint, Exit, Terminal};
use crate::adapters::data::{Bucket, Login};
use crate::adapters::s3::{Archive, Locked, Stored};
use crate::clock::Clock;
use crate::config::{LockMode, ObjectLock, Upload};
use crate::evidence::archive;
use crate::model::{Addressing, period};
use chrono::TimeDelta;
use std::path::Path;
use tokio::runtime::Runtime;

/// A larger archive is for a client that sends parts.
const LARGEST: usize = 512 << 20;

/// Where to, and for how long.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct To {
    /// Put the archive into this bucket; log-in and endpoint from AWS_… in the environment
    #[arg(long, value_name = "s3://BUCKET/PREFIX", group = "to")]
    pub upload: Option<String>,
    /// Lock it there: `compliance` (nobody can lift it) or `governance`
    #[arg(long, value_name = "MODE", requires = "retain")]
    object_lock: Option<LockMode>,
    /// For so long: 400d, 7y
    #[arg(long, value_name = "TIME", requires = "object_lock", value_parser = length)]
    retain: Option<String>,
}

fn length(text: &str) -> Result<String, String> {
    let known = period(text).map(|_| text.to_owned());
    known.ok_or_else(|| "a length of time is written like 400d, 6mo or 7y".to_owned())
}

impl To {
    /// What is asked for here, else what the configuration says.
    #[must_use]
    pub fn or(&self, configured: Option<&Upload>) -> Option<Upload> {
        let lock = self.object_lock.zip(self.retain.clone()).map(|(mode, retain)| ObjectLock { mode, retain });
        match (&self.upload, configured) {
            (Some(to), _) => Some(Upload { to: to.clone(), object_lock: lock, required: false }),
            (None, Some(upload)) => {
                Some(Upload { object_lock: lock.or_else(|| upload.object_lock.clone()), ..upload.clone() })
            }
            (None, None) => None,
        }
    }
}

/// After a run: its archive is put there. What does not work is said with the command that tries again.
pub fn after_run(dir: &Path, upload: &Upload, runtime: &Runtime, terminal: &mut Terminal) -> Exit {
    match put(dir, upload, None, runtime) {
        Ok(stored) => {
            terminal.warn(&in_words(&stored));
            Exit::Pass
        }
        Err(why) => {
            let what = format!("not uploaded: {}", why.what);
            let again = again(dir, upload);
            let mend = why.mend.map_or_else(|| again.clone(), |mend| format!("{mend}; then: {again}"));
            terminal.complain(&Complaint::new(Exit::Inconclusive, what).mend(mend));
            if upload.required { Exit::Inconclusive } else { Exit::Pass }
        }
    }
}

fn again(dir: &Path, upload: &Upload) -> String {
    let lock = upload.object_lock.as_ref();
    let lock = lock.map(|lock| format!(" --object-lock {} --retain {}", lock.mode.word(), lock.retain));
    format!("blackstart bundle {} --upload {}{}", dir.display(), upload.to, lock.unwrap_or_default())
}

/// Packs a run and puts it there as `PREFIX/DRILL/RUN.tar.gz`.
///
/// # Errors
/// What could not be packed, sent or read back, and what to do.
pub fn put(dir: &Path, upload: &Upload, unsealed: Option<Unsealed>, runtime: &Runtime) -> Result<Stored, Complaint> {
    let (bucket, prefix) = place(&upload.to, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
    let lock = upload.object_lock.as_ref().map(locked).transpose()?;
    let found = bundle::sound(dir, unsealed)?;
    let moment = u64::try_from(found.ended.timestamp()).unwrap_or_default();
    let mut bytes = Vec::new();
    archive::pack(dir, found.run.as_str(), moment, &mut bytes)
        .map_err(|e| Complaint::new(Exit::Internal, e.to_string()))?;
    if bytes.len() > LARGEST {
        let what = format!("the archive has {} MB; here at most {} are sent", bytes.len() >> 20, LARGEST >> 20);
        let mend = format!("blackstart bundle {} --output FILE.tar.gz, and `aws s3 cp` with a lock", dir.display());
        return Err(Complaint::new(Exit::Inconclusive, what).mend(mend));
    }
    let key = [prefix.as_str(), found.drill.as_str(), &format!("{}.tar.gz", found.run)];
    let key = key.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let stored = runtime.block_on(async { Archive::new(&bucket)?.store(&key, &bytes, lock.as_ref()).await });
    stored.map_err(|e| Complaint::new(Exit::Inconclusive, e.to_string()))
}

/// What is there, in a line.
#[must_use]
pub fn in_words(stored: &Stored) -> String {
    let verb = if stored.already { "was there already" } else { "uploaded" };
    let lock = stored.locked.as_ref().map_or_else(
        || "not locked".to_owned(),
        |lock| format!("locked until {} ({})", lock.until.format("%Y-%m-%d"), lock.mode.to_lowercase()),
    );
    format!("{verb}: {}, {} bytes, sha256 {} read back, {lock}", stored.label, stored.bytes, stored.sha256)
}

fn locked(lock: &ObjectLock) -> Result<Locked, Complaint> {
    let wrong = || {
        let what = format!("`{}` is no length of time", lock.retain);
        Complaint::new(Exit::Usage, what).mend("400d, 6mo or 7y")
    };
    let kept = period(&lock.retain).and_then(|kept| TimeDelta::from_std(kept).ok()).ok_or_else(wrong)?;
    // To the day: a second call on the same day asks for the same.
    let today = Clock::System.stamp().wall.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let until = today.checked_add_signed(kept + TimeDelta::days(1)).ok_or_else(wrong)?;
    Ok(Locked { mode: lock.mode.word().to_uppercase(), until })
}

/// `s3://BUCKET/PREFIX`, with log-in and endpoint as every client of S3 takes them from the environment.
fn place(to: &str, variable: impl Fn(&str) -> Option<String>) -> Result<(Bucket, String), Complaint> {
    let usage = |what: String, mend: &str| Complaint::new(Exit::Usage, what).mend(mend.to_owned());
    let (name, prefix) =
        to.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))).unwrap_or_default();
    if name.is_empty() {
        return Err(usage(format!("`{to}` names no bucket"), "s3://BUCKET/PREFIX"));
    }
    let (Some(key), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) else {
        let what = format!("nobody may write to {to}: there is no log-in in the environment");
        return Err(usage(what, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    };
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let stated = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
    let addressing = if stated.is_some() { Addressing::Path } else { Addressing::Host };
    let endpoint = stated.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let login = Some(Login { key, secret, token: variable("AWS_SESSION_TOKEN") });
    let bucket = Bucket { endpoint, name: name.to_owned(), region, addressing, login, ca: variable("AWS_CA_BUNDLE") };
    Ok((bucket, prefix.trim_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix() {
        let env = |name: &str| name.starts_with("AWS_").then(|| format!("http://{}", name.to_lowercase()));
        let (bucket, prefix) = place("s3://evidence/drills/", env).ok().unwrap();
        assert_eq!((bucket.name.as_str(), prefix.as_str()), ("evidence", "drills"));
        assert_eq!(bucket.endpoint, "http://aws_endpoint_url_s3");
        for (to, mend) in [("evidence", "s3://"), ("s3://", "s3://"), ("https://x/y", "s3://")] {
            assert!(place(to, env).err().unwrap().mend.unwrap().contains(mend), "{to}");
        }
        let nobody = place("s3://evidence", |_| None).err().unwrap();
        assert!(nobody.mend.unwrap().contains("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn what_is_asked_for_goes_before_the_configuration() {
        let configured = Upload {
            to: "s3://a".to_owned(),
            object_lock: Some(ObjectLock { mode: LockMode::Governance, retain: "30d".to_owned() }),
            required: true,
        };
        assert_eq!(To::default().or(None), None);
        assert_eq!(To::default().or(Some(&configured)), Some(configured.clone()));
        let to = To { upload: Some("s3://b".to_owned()), ..To::default() };
        let asked = to.or(Some(&configured)).unwrap();
        assert_eq!((asked.to.as_str(), asked.object_lock, asked.required), ("s3://b", None, false));
        assert!(
            again(Path::new("r"), &configured).ends_with("r --upload s3://a --object-lock governance --retain 30d")
        );
    }
}
