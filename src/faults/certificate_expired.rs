//! Replaces a certificate by an expired one for the same names; healing puts the original back.

use super::process_kill::signal;
use super::swap::{Had, Swap};
use super::{Cx, Fault, FaultError, Look, Reversibility, shell};
use crate::adapters::{AdapterError, certificate};
use crate::model::{Dur, RunSpec, SignalName, TargetRef, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const AGO: Dur = Dur(Duration::from_secs(86_400));
const ANSWER: Duration = Duration::from_secs(5);
const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";

/// Replaces a PEM certificate by an expired one for the same names, signed by itself, and its key by a new one. The
/// originals wait in the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateExpired {
    /// A target of kind `file`: the certificate (or a chain that begins with it), PEM.
    pub target: TargetRef,
    /// A target of kind `file`: its private key, PEM; the same as `target` if both stand in one file.
    pub key: TargetRef,
    /// It expired so long ago; 1d if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ago: Option<Dur>,
    /// Makes the server read its files again, after they were replaced and after they were put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<RunSpec>,
    /// A target of kind `process` or `service` that is sent `signal` to read its files again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<TargetRef>,
    /// That signal, by name or number; HUP if not given.
    #[serde(default = "hup")]
    pub signal: SignalName,
    /// `host:port` where the certificate is served (TLS from the first byte): what is served there is looked at too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Template>,
}

fn hup() -> SignalName {
    SignalName::HUP
}

/// The files as they were, and what was served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The certificate, and its key unless they are one file.
    pub files: Vec<Swap>,
    /// The names that the certificate is for.
    pub names: certificate::Names,
    /// Where it is served, and SHA-256 of the certificate that was served there before, hex.
    pub served: Option<(String, String)>,
    /// Makes the server read its files again (secrets by reference).
    pub reload: Option<RunSpec>,
    /// Where its relative paths start from.
    pub base: PathBuf,
}

impl CertificateExpired {
    async fn read_again(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        if let Some(reload) = &undo.reload {
            let done = cx.run(reload).await?;
            if !done.ok {
                return Err(AdapterError::Refused(done.detail).into());
            }
        }
        if let Some(notify) = &self.notify {
            // Whoever it is now: one that was started meanwhile has read what was there then.
            let now = TargetRef::Now(notify.name().to_owned());
            for process in cx.scope.target(&now).await.map_err(FaultError::Reference)?.processes {
                signal(&process, self.signal.as_str(), cx)?;
            }
        }
        Ok(())
    }
}

async fn served(address: &str) -> Result<String, FaultError> {
    Ok(certificate::served(address, ANSWER).await?)
}

impl Fault for CertificateExpired {
    const KIND: &'static str = "certificate_expired";
    const SUMMARY: &'static str = "replace a certificate by an expired one for the same names";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["file"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        if self.key == self.target { vec![&self.target] } else { vec![&self.target, &self.key] }
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "write permission in the directories of certificate and key; root if another user owns the files"
                .to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "certificate and key are put back from the vault, and read again".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let mut files = vec![Swap::of_target(&self.target, CERTIFICATE, cx).await?];
        if self.key != self.target {
            files.push(Swap::of_target(&self.key, KEY, cx).await?);
        }
        let pem = cx.world.files.read(&files[0].path)?;
        let names = certificate::names(&pem)?;
        if names.until <= cx.world.clock.stamp().wall.timestamp() {
            return Err(FaultError::NothingToBreak(format!("{} has expired already", files[0].path.display())));
        }
        let address = self.address.as_ref().map(|address| cx.text(address)).transpose()?;
        let served = match address {
            None => None,
            Some(address) => {
                let now = served(&address).await?;
                if now != names.digest {
                    let why = format!("{address} serves another certificate than {}", files[0].path.display());
                    return Err(FaultError::NothingToBreak(why));
                }
                Some((address, now))
            }
        };
        Ok(Undo { files, names, served, reload: self.reload.clone(), base: cx.scope.base() })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut untouched = false;
        for file in &undo.files {
            untouched |= file.is_as_before(cx)?;
        }
        // A pair that was replaced only in part is replaced as a whole.
        if untouched {
            let ago = self.ago.unwrap_or(AGO).0;
            let expired = certificate::expired(&undo.names, cx.world.clock.stamp().wall, ago)?;
            match &undo.files[..] {
                [both] => both.replace(format!("{}{}", expired.certificate, expired.key).as_bytes(), cx)?,
                files => {
                    for (file, text) in files.iter().zip([&expired.certificate, &expired.key]) {
                        file.replace(text.as_bytes(), cx)?;
                    }
                }
            }
        }
        self.read_again(undo, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let Some(first) = undo.files.first() else { return Err(FaultError::Journal("no file".to_owned())) };
        let now = certificate::names(&cx.world.files.read(&first.path)?)?;
        if now.until > cx.world.clock.stamp().wall.timestamp() {
            return Ok(Look { holds: false, detail: format!("{} has not expired", first.path.display()) });
        }
        let Some((address, _)) = &undo.served else {
            return Ok(Look { holds: true, detail: format!("{} has expired", first.path.display()) });
        };
        let holds = served(address).await? == now.digest;
        let detail = format!("{address} serves {}", if holds { "the expired certificate" } else { "another one" });
        Ok(Look { holds, detail })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut changed = false;
        for file in &undo.files {
            changed |= file.put_back(cx)? == Had::Changed;
        }
        // Nobody knows whether a runner that died after putting them back had them read again; reading twice does no harm.
        let right = match &undo.served {
            Some((address, before)) => served(address).await.is_ok_and(|now| now == *before),
            None => false,
        };
        if changed || !right { self.read_again(undo, cx).await } else { Ok(()) }
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        for file in &undo.files {
            let look = file.is_back(cx)?;
            if !look.holds {
                return Ok(look);
            }
        }
        let Some((address, before)) = &undo.served else {
            return Ok(Look { holds: true, detail: "certificate and key are what they were".to_owned() });
        };
        let holds = served(address).await? == *before;
        let what = if holds { "the certificate it served before" } else { "another certificate than before" };
        Ok(Look { holds, detail: format!("{address} serves {what}") })
    }

    fn by_hand(&self, undo: &Undo) -> String {
        let mut all: Vec<String> = undo.files.iter().map(Swap::by_hand).collect();
        all.extend(undo.reload.iter().map(|reload| shell(reload, &undo.base)));
        all.join(" && ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.files.iter().map(|file| file.path.display().to_string()).collect()
    }
}
