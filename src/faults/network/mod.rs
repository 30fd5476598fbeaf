//! What the network faults share: finding the namespace and the interface that a target names, and finding what was left
//! in any namespace with no record. The kinds are in `network_*.rs`, one file each.

use super::{Cx, FaultError, Residue, Search};
use crate::adapters::{AdapterError, NamespaceIdentity, NetworkPlace, World};
use crate::model::{Owner, TargetRef};

pub(super) mod cut;
pub(super) mod qdisc;
pub(super) mod rules;

/// Tables of ours begin with this; the owner's tag follows.
const TABLE: &str = "blackstart_";

/// The owner's table.
fn table(owner: &Owner) -> String {
    format!("{TABLE}{}", owner.tag())
}

/// Where a network fault works.
struct Site {
    namespace: NamespaceIdentity,
    interface: Option<String>,
}

/// The namespace and the interface that a target stands for.
async fn site(target: &TargetRef, cx: &Cx<'_>) -> Result<Site, FaultError> {
    let found = cx.scope.target(target).await.map_err(FaultError::NothingToBreak)?;
    let field = |name: &str| found.fields.get(name).map(String::as_str);
    let place = NetworkPlace::named(field("namespace").unwrap_or_default());
    let gone = |what: &str| FaultError::NothingToBreak(format!("the network namespace of `{}` {what}", found.name));
    let namespace = cx.world.network.namespace(&place)?.ok_or_else(|| gone("is gone"))?;
    if field("inode").is_some_and(|pinned| pinned != namespace.inode.to_string()) {
        return Err(gone("is another one than just before the outage"));
    }
    let interface = field("interface").map(str::to_owned);
    if let Some(wanted) = &interface {
        let links = cx.world.network.links(&namespace).await?;
        if !links.iter().any(|link| link.name == *wanted) {
            let text = format!("there is no interface `{wanted}` in {}", namespace.shown());
            return Err(FaultError::NothingToBreak(text));
        }
    }
    Ok(Site { namespace, interface })
}

/// The namespace that this process is in.
fn own(cx: &Cx<'_>) -> Result<NamespaceIdentity, FaultError> {
    let own = cx.world.network.namespace(&NetworkPlace::Own)?;
    own.ok_or_else(|| FaultError::World(AdapterError::Missing("this machine has no network namespaces".to_owned())))
}

/// A look into a namespace that ended meanwhile found nothing; any other failure stays one.
fn settled<T: Default>(
    result: Result<T, AdapterError>,
    namespace: &NamespaceIdentity,
    cx: &Cx<'_>,
) -> Result<T, AdapterError> {
    match result {
        Ok(found) => Ok(found),
        Err(error) => {
            let lives = cx.world.network.heirs(namespace)?.iter().any(|heir| heir.inode == namespace.inode);
            if lives { Err(error) } else { Ok(T::default()) }
        }
    }
}

/// Nothing: kinds whose residue another kind looks for.
pub(super) async fn no_residue(_: &World) -> Search {
    Search::default()
}

/// Tables and queues of ours in this process's namespace and in all that have a name.
pub(super) async fn residue(world: &World) -> Search {
    let mut search = Search::default();
    for namespace in search.look("network namespaces", world.network.all()) {
        let (place, there) = (namespace.shown(), namespace.by_hand());
        let tables = world.network.tables(&namespace).await;
        for name in search.look(&format!("nftables in {place}"), tables) {
            if let Some(tag) = name.strip_prefix(TABLE).filter(|tag| Owner::is_tag(tag)) {
                let what = format!("nftables table inet {name} in {place}");
                let by_hand = format!("{there}nft delete table inet {name}");
                search.found.push(Residue { tag: tag.to_owned(), what, by_hand });
            }
        }
        let links = world.network.links(&namespace).await;
        for link in search.look(&format!("queues in {place}"), links) {
            for tag in link.also.iter().filter(|name| Owner::is_tag(name)) {
                let what = format!("queue on {} in {place}", link.name);
                let by_hand = qdisc::by_hand(&there, &link.name, tag);
                search.found.push(Residue { tag: tag.clone(), what, by_hand });
            }
        }
    }
    search
}
