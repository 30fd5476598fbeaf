//! What the faults that queue packets share: one root queueing discipline of our own, put where the kernel's default
//! was, so that taking it away brings the default back. What it does to packets is the kinds' own.

use super::{settled, site};
use crate::adapters::network::Qdisc;
use crate::adapters::{AdapterError, NamespaceIdentity, World};
use crate::faults::{Cx, FaultError, Look};
use crate::model::TargetRef;
use serde::{Deserialize, Serialize};

/// Handles of ours are `7b00:` to `7bff:`. The kernel numbers from `8000:` on, people from `1:`.
const MAJOR: &str = "7b";

/// All that makes the queue, and all that heals it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Where it is.
    pub namespace: NamespaceIdentity,
    /// On which interface.
    pub interface: String,
    /// The interface's number; another one of the same name has another.
    pub index: u32,
    /// The interface gets this other name, the owner's tag: by it the queue is found with no record.
    pub tag: String,
    /// Its handle, made from the tag.
    pub handle: String,
    /// tc's words for it: its kind and its settings.
    pub words: Vec<String>,
    /// What the interface had before.
    pub before: Vec<Qdisc>,
}

fn handle(tag: &str) -> String {
    format!("{MAJOR}{}:", &tag[tag.len().saturating_sub(2)..])
}

fn of_link(all: Vec<Qdisc>, interface: &str) -> Vec<Qdisc> {
    all.into_iter().filter(|q| q.dev == interface).collect()
}

fn root(all: &[Qdisc]) -> Option<&Qdisc> {
    all.iter().find(|q| q.is_root())
}

/// A root that the kernel did not make by itself is somebody's.
fn taken(all: &[Qdisc], interface: &str) -> Option<String> {
    let root = root(all).filter(|root| root.handle != "0:")?;
    let whose = if root.handle.starts_with(MAJOR) { "another drill's" } else { "somebody's" };
    Some(format!(
        "`{interface}` has {whose} queueing discipline ({} {}); removing ours would not bring it back",
        root.kind, root.handle
    ))
}

/// Read-only: the interface, and what it has now. `words` is asked for the largest packet of the interface.
pub async fn prepare(
    target: &TargetRef,
    words: impl FnOnce(u32) -> Vec<String>,
    cx: &Cx<'_>,
) -> Result<Undo, FaultError> {
    let site = site(target, cx).await?;
    let network = &cx.world.network;
    let Some(interface) = site.interface else {
        let text = format!("`{}` names no interface, and a queue hangs on one", target.name());
        return Err(FaultError::NothingToBreak(text));
    };
    let before = of_link(network.qdiscs(&site.namespace).await?, &interface);
    if let Some(why) = taken(&before, &interface) {
        return Err(FaultError::NothingToBreak(why));
    }
    let links = network.links(&site.namespace).await?;
    let link = links.into_iter().find(|link| link.name == interface);
    let link = link.ok_or_else(|| FaultError::NothingToBreak(format!("the interface `{interface}` is gone")))?;
    let words = words(link.mtu);
    if let Some(why) = unavailable(&words, cx.world).await {
        return Err(FaultError::World(AdapterError::Missing(why)));
    }
    let (tag, index) = (cx.owner.tag(), link.index);
    let handle = handle(&tag);
    Ok(Undo { namespace: site.namespace, interface, index, tag, handle, words, before })
}

/// Why this machine has no such queueing discipline; tried out where nothing is touched. None also when this user may
/// not try anything out: then the injection will tell.
pub async fn unavailable(words: &[String], world: &World) -> Option<String> {
    for tool in ["tc", "ip"] {
        if world.commands.find(tool).is_err() {
            return Some(format!("unavailable, because `{tool}` is not there (Debian: iproute2)"));
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let error = world.network.has_qdisc(&words).await.err()?;
    world.network.has_qdisc(&["pfifo"]).await.ok()?;
    if words.first() == Some(&"netem") && world.network.has_qdisc(&["netem", "delay", "1ms"]).await.is_err() {
        return Some("unavailable, because this kernel has no netem (sch_netem); use the proxy for delays".to_owned());
    }
    Some(format!("unavailable, because the kernel refuses it: {error}"))
}

/// The interface with this number, or of this name if that number is gone, in any namespace where it can be.
struct Place {
    namespace: NamespaceIdentity,
    interface: String,
    tagged: bool,
    qdiscs: Vec<Qdisc>,
}

impl Place {
    fn ours(&self, undo: &Undo) -> bool {
        root(&self.qdiscs).is_some_and(|root| root.handle == undo.handle)
    }
}

async fn places(undo: &Undo, cx: &Cx<'_>) -> Result<Vec<Place>, FaultError> {
    let (network, mut found) = (&cx.world.network, Vec::new());
    for heir in network.heirs(&undo.namespace)? {
        let links = settled(network.links(&heir).await, &heir, cx)?;
        let all = settled(network.qdiscs(&heir).await, &heir, cx)?;
        for link in links {
            let tagged = link.also.contains(&undo.tag);
            if tagged || link.index == undo.index || link.name == undo.interface {
                let qdiscs = of_link(all.clone(), &link.name);
                found.push(Place { namespace: heir.clone(), interface: link.name, tagged, qdiscs });
            }
        }
    }
    Ok(found)
}

/// The name first, then the queue: a queue without its owner's name never is.
pub async fn inject(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    let here = places(undo, cx).await?.into_iter().find(|p| p.namespace.inode == undo.namespace.inode);
    let here = here.ok_or_else(|| AdapterError::Missing(format!("the interface `{}` is gone", undo.interface)))?;
    if !here.tagged {
        let name = ["link", "property", "add", "dev", &here.interface, "altname", &undo.tag];
        cx.world.network.ip(&here.namespace, &name).await?;
    }
    if here.ours(undo) {
        return Ok(());
    }
    // Fails when somebody has put one there meanwhile: nothing is ever replaced.
    let mut words = vec!["qdisc", "add", "dev", &here.interface, "root", "handle", &undo.handle];
    words.extend(undo.words.iter().map(String::as_str));
    Ok(cx.world.network.tc(&here.namespace, &words).await?)
}

pub async fn effective(undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let all = of_link(cx.world.network.qdiscs(&undo.namespace).await?, &undo.interface);
    let Some(root) = root(&all) else {
        return Ok(Look { holds: false, detail: format!("`{}` has no queueing discipline", undo.interface) });
    };
    let holds = root.handle == undo.handle && Some(&root.kind) == undo.words.first();
    Ok(Look { holds, detail: format!("`{}` has {} {} {}", undo.interface, root.kind, root.handle, root.options) })
}

/// The queue first, then the name.
pub async fn heal(undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
    let mut error = None;
    for place in places(undo, cx).await? {
        if place.ours(undo) {
            // By its handle: another one that came between is not touched.
            let words = ["qdisc", "del", "dev", &place.interface, "root", "handle", &undo.handle];
            if let Err(why) = cx.world.network.tc(&place.namespace, &words).await {
                error = Some(why);
                continue;
            }
        }
        if place.tagged {
            let words = ["link", "property", "del", "dev", &place.interface, "altname", &undo.tag];
            error = cx.world.network.ip(&place.namespace, &words).await.err().or(error);
        }
    }
    match error {
        // Somebody else may have been quicker.
        Some(error) if places(undo, cx).await?.iter().any(|p| p.tagged || p.ours(undo)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn bare(all: &[Qdisc]) -> Vec<(&str, &str, Option<&str>)> {
    let mut list: Vec<_> = all.iter().map(|q| (q.kind.as_str(), q.handle.as_str(), q.parent.as_deref())).collect();
    list.sort_unstable();
    list
}

pub async fn healed(undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
    let places = places(undo, cx).await?;
    if let Some(place) = places.iter().find(|p| p.tagged || p.ours(undo)) {
        let what = if place.ours(undo) { "queueing discipline" } else { "other name" };
        let detail = format!("our {what} is still on `{}` in {}", place.interface, place.namespace.shown());
        return Ok(Look { holds: false, detail });
    }
    let Some(here) = places.iter().find(|p| p.namespace.inode == undo.namespace.inode) else {
        return Ok(Look { holds: true, detail: format!("`{}` is gone, and its queue with it", undo.interface) });
    };
    if bare(&here.qdiscs) == bare(&undo.before) {
        return Ok(Look { holds: true, detail: format!("`{}` has the queues it had before", here.interface) });
    }
    // What is there now is somebody else's or the kernel's choice for a new interface: not ours to change.
    let now = root(&here.qdiscs).map_or("none", |root| root.kind.as_str());
    Ok(Look { holds: true, detail: format!("ours is gone; `{}` has {now} now", here.interface) })
}

pub fn by_hand(there: &str, interface: &str, tag: &str) -> String {
    format!(
        "{there}tc qdisc del dev {interface} root handle {}; {there}ip link property del dev {interface} altname {tag}",
        handle(tag)
    )
}

pub fn undo_by_hand(undo: &Undo) -> String {
    by_hand(&undo.namespace.by_hand(), &undo.interface, &undo.tag)
}

pub fn touched(undo: &Undo) -> Vec<String> {
    vec![format!("{} in {}", undo.interface, undo.namespace.shown())]
}

pub fn permissions() -> Vec<String> {
    vec![
        "CAP_NET_ADMIN".to_owned(),
        "CAP_SYS_ADMIN too, to look whether the kernel can, and where the target is another network namespace"
            .to_owned(),
        "tc and ip (Debian: iproute2)".to_owned(),
    ]
}
