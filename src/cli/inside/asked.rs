//! What a user says of a drill inside a cluster, on the command line of `run` and `schedule`.

use super::super::{Complaint, Exit};
use crate::adapters::kubernetes::Access;
use crate::inside::{Apart, SecretUse};
use crate::model::Dur;
use std::path::PathBuf;
use std::time::Duration;

/// How long a run's folder waits in its pod to be fetched.
const HOLD: Duration = Duration::from_secs(600);
/// Where the container has its folders.
const HOME: &str = "/blackstart";

/// Where in which cluster, and with what.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Inside a cluster")]
#[group(skip)]
pub struct Asked {
    /// The kubeconfig; `KUBECONFIG` or `~/.kube/config` if not given
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; its current one if not given
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace of the drill's pods; the context's own if not given
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The image that has this program
    #[arg(long, value_name = "IMAGE", env = "BLACKSTART_IMAGE")]
    image: Option<String>,
    /// The program in the image; `blackstart` if not given
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
    /// The account of the pods, which is there already; one with the rights of the plan is made if not given
    #[arg(long, value_name = "NAME")]
    pub service_account: Option<String>,
    /// A Secret that is there already: its keys become environment variables, or files in the folder after `=`
    #[arg(long = "secret", value_name = "NAME[=DIR]", value_parser = secret)]
    secrets: Vec<SecretUse>,
    /// A file or folder that the drill needs and its playbook does not name
    #[arg(id = "extra_files", long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Keep runs in this PersistentVolumeClaim, too
    #[arg(long, value_name = "NAME")]
    pub claim: Option<String>,
    /// The guardian may be on the runner's node: for clusters that have only one
    #[arg(long)]
    one_node: bool,
    /// Do not remove what was made for the run
    #[arg(long)]
    pub keep: bool,
    /// So long the pod waits, when the run is over, until its folder is fetched; 10m if not given
    #[arg(long, value_name = "TIME")]
    hold: Option<Dur>,
    /// The folder of the container that holds playbook and runs; `/blackstart` if not given
    #[arg(long, value_name = "DIR")]
    home: Option<String>,
}

fn secret(text: &str) -> Result<SecretUse, String> {
    let (name, folder) = text.split_once('=').map_or((text, None), |(name, folder)| (name, Some(folder)));
    if !dns(name) {
        return Err(format!("`{name}` cannot be the name of a Secret; its values are never given here"));
    }
    match folder {
        None => Ok(SecretUse::Variables(name.to_owned())),
        Some(folder) if folder.starts_with('/') => Ok(SecretUse::Folder(name.to_owned(), folder.to_owned())),
        Some(folder) => Err(format!("`{folder}` is no absolute path, as in {name}=/etc/drill")),
    }
}

/// As objects of a cluster are named.
fn dns(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    (1..=253).contains(&name.len()) && name.chars().all(letters) && !name.starts_with(['-', '.'])
}

impl Asked {
    /// Was anything asked for?
    #[must_use]
    pub fn anything(&self) -> bool {
        let texts = [&self.context, &self.namespace, &self.program, &self.service_account, &self.claim, &self.home];
        let text = texts.iter().any(|text| text.is_some());
        text || self.kubeconfig.is_some()
            || !self.secrets.is_empty()
            || !self.files.is_empty()
            || self.one_node
            || self.keep
    }

    /// The way to the cluster.
    #[must_use]
    pub fn access(&self) -> Access {
        let kubeconfig = self.kubeconfig.clone().map(|path| std::path::absolute(&path).unwrap_or(path));
        Access { kubeconfig, context: self.context.clone() }
    }

    /// The image.
    ///
    /// # Errors
    /// When none is given: there is none that everybody has.
    pub fn image(&self) -> Result<String, Complaint> {
        self.image.clone().ok_or_else(|| {
            Complaint::new(Exit::Usage, "which image has this program? none is given")
                .mend("--image REGISTRY/blackstart:TAG, built from src/deploy/Containerfile")
        })
    }

    pub(super) fn program(&self) -> Vec<String> {
        vec![self.program.clone().unwrap_or_else(|| "blackstart".to_owned())]
    }

    pub(super) fn secrets(&self) -> Vec<SecretUse> {
        self.secrets.clone()
    }

    pub(super) fn apart(&self) -> Apart {
        if self.one_node { Apart::IfPossible } else { Apart::Always }
    }

    /// How long a run's folder waits to be fetched.
    #[must_use]
    pub fn hold(&self) -> Duration {
        self.hold.map_or(HOLD, |hold| hold.0)
    }

    pub(super) fn home(&self) -> String {
        self.home.as_deref().unwrap_or(HOME).trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_name_and_perhaps_a_folder() {
        assert_eq!(secret("db"), Ok(SecretUse::Variables("db".into())));
        assert_eq!(secret("db=/etc/db"), Ok(SecretUse::Folder("db".into(), "/etc/db".into())));
        for wrong in ["DB_PASSWORD", "db=etc", "db=hunter2", ""] {
            assert!(secret(wrong).is_err(), "{wrong}");
        }
    }
}
