//! A run's place in the chain of runs: taken before it starts, filled when it is sealed, given back if it never began. Who may
//! have which place is decided in `evidence::chain`, where the head is kept in `adapters::chain`.

use super::Settings;
use crate::adapters::World;
use crate::adapters::chain::{Keep, Swapped};
use crate::adapters::data::{Bucket, Login};
use crate::adapters::host;
use crate::event::ChainSeal;
use crate::evidence::chain::{self, Head};
use crate::journal;
use crate::model::Addressing;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What the place of a bucket begins with.
pub(super) const BUCKET: &str = "s3://";

/// A place that was taken.
pub(super) struct Claimed {
    pub seal: ChainSeal,
    /// What is not as it should be.
    pub note: Option<String>,
}

pub(super) async fn claim(settings: &Settings, world: &World) -> Result<Claimed, String> {
    let keep = keep(settings)?;
    let taken = Mutex::new(None);
    let change = |text: Option<&str>| {
        let before = Head::read(text, &settings.chain).map_err(|e| e.to_string())?;
        let (after, seal) = before.clone().claim(&settings.run);
        *taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(seal);
        Ok((after != before).then(|| after.text()))
    };
    let swapped = keep.change(&chain::file(&settings.chain), &change, &world.clock).await.map_err(|e| e.to_string())?;
    let seal = taken.into_inner().unwrap_or_else(PoisonError::into_inner).ok_or("no place was given")?;
    let note = (swapped == Swapped::Unguarded).then(|| {
        let place = keep.label();
        format!(
            "{place} does not keep conditions (If-Match): runs at the same time may have the same place in the chain"
        )
    });
    Ok(Claimed { seal, note })
}

pub(super) async fn finish(settings: &Settings, manifest: &str, world: &World) -> Result<(), String> {
    changed(settings, world, &|head| head.finish(&settings.run, manifest)).await
}

pub(super) async fn release(settings: &Settings, world: &World) -> Result<(), String> {
    changed(settings, world, &|head| head.release(&settings.run)).await
}

async fn changed(settings: &Settings, world: &World, step: &(dyn Fn(Head) -> Head + Sync)) -> Result<(), String> {
    if settings.keep.is_none() {
        return Ok(());
    }
    let change = |text: Option<&str>| {
        let head = Head::read(text, &settings.chain).map_err(|e| e.to_string())?;
        let after = step(head.clone());
        Ok((after != head).then(|| after.text()))
    };
    let done = keep(settings)?.change(&chain::file(&settings.chain), &change, &world.clock).await;
    done.map(|_| ()).map_err(|e| e.to_string())
}

fn keep(settings: &Settings) -> Result<Keep, String> {
    let place = settings.keep.as_deref().ok_or("it has no place in a chain")?;
    match place.strip_prefix(BUCKET) {
        None => Ok(Keep::Directory(PathBuf::from(place))),
        Some(rest) => bucket(rest, |name| std::env::var(name).ok().filter(|value| !value.is_empty())),
    }
}

/// `BUCKET/PREFIX`, with log-in and endpoint from the environment, as every client of S3 has them.
fn bucket(place: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Keep, String> {
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    if name.is_empty() {
        return Err("s3:// is followed by a bucket's name: s3://BUCKET/PREFIX".to_owned());
    }
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let stated = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
    let addressing = if stated.is_some() { Addressing::Path } else { Addressing::Host };
    let endpoint = stated.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let (Some(key), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) else {
        return Err(format!("s3://{place} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"));
    };
    let login = Some(Login { key, secret, token: variable("AWS_SESSION_TOKEN") });
    let ca = variable("AWS_CA_BUNDLE");
    let bucket = Bucket { endpoint, name: name.to_owned(), region, addressing, login, ca };
    Ok(Keep::Bucket(bucket, prefix.trim_matches('/').to_owned()))
}

/// The CI's project, for its machines are new each time; else this machine, by a digest of its id, which is not for everybody.
pub(super) fn this_runner() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(project) = set("GITHUB_REPOSITORY").or_else(|| set("CI_PROJECT_PATH")) {
        return project;
    }
    let machine = host::line("/etc/machine-id").filter(|id| !id.is_empty()).or_else(host::name);
    let digest = journal::digest(format!("blackstart chain {}", machine.unwrap_or_default()).as_bytes());
    digest[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_reached_as_the_environment_says() {
        let aws = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("key".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            _ => None,
        };
        let Ok(Keep::Bucket(bucket, prefix)) = super::bucket("evidence/a/b/", aws) else { panic!("no bucket") };
        assert_eq!((bucket.name.as_str(), prefix.as_str()), ("evidence", "a/b"));
        assert_eq!(bucket.endpoint, "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(bucket.addressing, Addressing::Host);
        assert!(super::bucket("evidence", |_| None).err().unwrap().contains("AWS_ACCESS_KEY_ID"));
        assert!(super::bucket("/x", aws).is_err());
    }
}
