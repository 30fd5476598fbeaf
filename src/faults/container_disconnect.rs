//! Takes containers off a network; they go on running. Healing attaches them again, with the aliases, addresses and
//! options that they had asked for, also when the container or the network was made anew meanwhile.

use super::container::{ACCESS, Held, Now, all, each_is, together};
use super::{Cx, Fault, FaultError, Look, Reversibility, word};
use crate::adapters::AdapterError;
use crate::adapters::containers::{Act, Attachment, Container};
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes containers off a network until it is healed. An address that the engine had chosen may be another one after it;
/// one that was asked for is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerDisconnect {
    /// A target of kind `container`.
    pub target: TargetRef,
    /// The network's name; the one that they are on, if it is only one and not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

/// Which containers, and how they were attached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Each with its place in the network.
    pub containers: Vec<Cut>,
}

/// A container and how it was attached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The container.
    pub held: Held,
    /// How.
    pub attachment: Attachment,
}

impl ContainerDisconnect {
    /// The place in the network that is meant; none if the container is not on it.
    fn place(&self, held: &Held, container: &Container) -> Result<Option<Attachment>, FaultError> {
        if ["host", "none"].contains(&container.network_mode.as_str()) || container.network_mode.contains(':') {
            let why = format!("{} has no network of its own ({})", held.name, container.network_mode);
            return Err(AdapterError::Refused(why).into());
        }
        if let Some(name) = &self.network {
            return Ok(container.networks.iter().find(|n| n.network == *name).cloned());
        }
        match &container.networks[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            more => {
                let names: Vec<&str> = more.iter().map(|n| n.network.as_str()).collect();
                let why = format!("{} is on {}; write `network` to say which", held.name, names.join(", "));
                Err(AdapterError::Refused(why).into())
            }
        }
    }
}

impl Cut {
    fn on_it<'a>(&self, container: &'a Container) -> Option<&'a Attachment> {
        container.networks.iter().find(|n| n.network == self.attachment.network)
    }

    async fn attach(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (Now::Same(container) | Now::Replaced(container)) = self.held.now(cx).await? else {
            let why = format!("the container {} is gone, and nothing is in its place", self.held.name);
            return Err(AdapterError::Missing(why).into());
        };
        if self.on_it(&container).is_some() {
            return Ok(());
        }
        self.held.act(&container.id, &Act::Connect(self.attachment.clone()), cx).await
    }

    async fn is_attached(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let (name, network) = (&self.held.name, &self.attachment.network);
        let (same, container) = match self.held.now(cx).await? {
            Now::Same(container) => (true, container),
            Now::Replaced(container) => (false, container),
            Now::Gone => {
                return Ok(Look { holds: false, detail: format!("{name} is gone, and nothing is in its place") });
            }
        };
        let Some(now) = self.on_it(&container) else {
            return Ok(Look { holds: false, detail: format!("{name} is not on {network}") });
        };
        if !same {
            return Ok(Look { holds: true, detail: format!("{name} was replaced, and is on {network}") });
        }
        let lost: Vec<&str> =
            self.attachment.aliases.iter().filter(|a| !now.aliases.contains(a)).map(String::as_str).collect();
        let detail = match (lost.is_empty(), now.wanted == self.attachment.wanted) {
            (false, _) => format!("{name} is on {network} without its aliases {}", lost.join(", ")),
            (true, false) => format!("{name} is on {network} without the address that it had asked for"),
            (true, true) => return Ok(Look { holds: true, detail: format!("{name} is on {network} again") }),
        };
        Ok(Look { holds: false, detail })
    }

    fn by_hand(&self) -> String {
        let mut line = format!("docker -H {} network connect", word(&self.held.engine));
        for alias in &self.attachment.aliases {
            line += &format!(" --alias {}", word(alias));
        }
        let wanted = self.attachment.wanted.clone().unwrap_or_default();
        line += &wanted.ipv4.map(|ip| format!(" --ip {ip}")).unwrap_or_default();
        line += &wanted.ipv6.map(|ip| format!(" --ip6 {ip}")).unwrap_or_default();
        format!("{line} {} {}", word(&self.attachment.network), word(&self.held.name))
    }
}

impl Fault for ContainerDisconnect {
    const KIND: &'static str = "container_disconnect";
    const TARGETS: &'static [&'static str] = &["container"];
    const SUMMARY: &'static str = "take containers off a network, and attach them again";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![ACCESS.to_owned()]
    }

    fn way_back(&self) -> String {
        "the containers are attached again, with their aliases and addresses".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let mut containers = Vec::new();
        for (held, container) in all(&self.target, cx).await? {
            let attachment = self.place(&held, &container)?;
            containers.extend(attachment.map(|attachment| Cut { held, attachment }));
        }
        if containers.is_empty() {
            let network = self.network.as_deref().unwrap_or("any network");
            return Err(FaultError::NothingToBreak(format!("`{}` is not on {network}", self.target.name())));
        }
        Ok(Undo { containers })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for cut in &undo.containers {
            if cut.held.itself(cx).await?.is_some_and(|c| cut.on_it(&c).is_some()) {
                cut.held.act(&cut.held.id, &Act::Disconnect(cut.attachment.network.clone()), cx).await?;
            }
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let held: Vec<Held> = undo.containers.iter().map(|cut| cut.held.clone()).collect();
        let networks: Vec<&str> = undo.containers.iter().map(|cut| cut.attachment.network.as_str()).collect();
        let network = networks.first().copied().unwrap_or_default();
        each_is(&held, cx, |each, c| {
            let off = !c.networks.iter().any(|n| networks.contains(&n.network.as_str()));
            off.then(|| format!("{} is off {network}", each.name))
        })
        .await
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        let mut failed = None;
        for cut in undo.containers.iter().rev() {
            failed = cut.attach(cx).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut looks = Vec::new();
        for cut in &undo.containers {
            looks.push(cut.is_attached(cx).await?);
        }
        Ok(together(looks))
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.containers.iter().map(Cut::by_hand).collect::<Vec<_>>().join(" && ")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.containers.iter().map(|cut| cut.held.shown()).collect()
    }
}
