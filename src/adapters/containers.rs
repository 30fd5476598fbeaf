//! Containers of a Docker Engine, or of Podman, which speaks the same API: what they are, and the few things that can
//! be done to one. What it is done for is decided elsewhere; how an engine is spoken to is in `docker`.

use super::{AdapterError, Fut};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Containers.
pub trait Containers: Send + Sync {
    /// The engine's address: the one given, else `DOCKER_HOST`, else the socket that is there.
    fn engine(&self, wanted: Option<&str>) -> String;
    /// The ids of containers with all these labels, running or not.
    fn labelled<'a>(
        &'a self,
        engine: &'a str,
        labels: &'a BTreeMap<String, String>,
    ) -> Fut<'a, Result<Vec<String>, AdapterError>>;
    /// A container by its id or name; `None` if there is none.
    fn inspect<'a>(&'a self, engine: &'a str, which: &'a str) -> Fut<'a, Result<Option<Container>, AdapterError>>;
    /// Does something to a container, and returns when the engine says that it is done.
    ///
    /// # Errors
    /// `Missing` if it is gone (or its network is), `Refused` if it is not in a state for that.
    fn act<'a>(&'a self, engine: &'a str, id: &'a str, act: &'a Act) -> Fut<'a, Result<(), AdapterError>>;
}

/// A container as its engine shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id; another container of the same name has another one.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// The image's name or id.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it is.
    pub status: Status,
    /// Its first process as the engine's host sees it; none if it does not run.
    pub pid: Option<i32>,
    /// When it was last started, as the engine writes it; changes with every start.
    pub started: String,
    /// Is it removed as soon as it stops?
    pub removed_when_stopped: bool,
    /// `default`, `none`, `host` or a network's name.
    pub network_mode: String,
    /// The networks it is attached to.
    pub networks: Vec<Attachment>,
}

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It runs.
    Running,
    /// All its processes are frozen.
    Paused,
    /// Its engine starts it again.
    Restarting,
    /// It does not run, or has never run.
    Stopped,
    /// It is being removed, or cannot be used any more.
    Dead,
}

/// How a container is attached to a network: what it takes to attach it again the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// The network's id; one that was made anew has another one.
    pub network_id: String,
    /// Names for it in that network, without those the engine makes itself.
    pub aliases: Vec<String>,
    /// Addresses that were asked for; those that the engine chose are not in here.
    pub wanted: Option<Wanted>,
    /// Other containers by other names.
    pub links: Vec<String>,
    /// Options of the network's driver.
    pub options: BTreeMap<String, String>,
    /// The address it has now; empty if it does not run.
    pub address: String,
}

/// Addresses that a container asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// IPv4.
    pub ipv4: Option<String>,
    /// IPv6.
    pub ipv6: Option<String>,
    /// Link-local ones.
    pub link_local: Vec<String>,
}

/// What can be done to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Sends a signal to its first process.
    Kill(&'static str),
    /// Asks it to stop, and kills it after this.
    Stop(Duration),
    /// Starts it.
    Start,
    /// Stops and starts it.
    Restart(Duration),
    /// Freezes it.
    Pause,
    /// Lets it go on.
    Unpause,
    /// Takes it off a network, by the network's name or id.
    Disconnect(String),
    /// Attaches it to a network.
    Connect(Attachment),
}

/// Those that this machine can reach.
pub(super) fn system() -> Arc<dyn Containers> {
    Arc::new(super::docker::Engines)
}
