//! Containers as faults see them: which one is meant, and which one carries its name now. Containers are replaced all the
//! time (a Compose project is brought up again, a policy restarts one), so everything looks at both: the very container
//! that the fault was done to, by id, and what is in its place, by name or as the same part of a Compose service.

use super::{Cx, FaultError, Look, word};
use crate::adapters::AdapterError;
use crate::adapters::containers::{Act, Container, Status};
use crate::model::{ContainerTarget, TargetRef, Template};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";

/// What every fault on containers needs.
pub(super) const ACCESS: &str = "access to the engine's socket: root, or the group `docker` (which is as good as root)";

/// A container that a fault is done to: all that finds it, or what is in its place, again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The engine's address.
    pub engine: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The labels that say which part of a Compose project it is; empty if it is none.
    pub compose: BTreeMap<String, String>,
    /// When it had been started.
    pub started: String,
}

/// What has become of a container.
pub(super) enum Now {
    /// It is still there.
    Same(Container),
    /// It is gone or has lost its name, and another is in its place.
    Replaced(Container),
    /// It is gone, and nothing is in its place.
    Gone,
}

/// The fields of a container target, or why there is none.
///
/// # Errors
/// When the engine cannot be asked, or has no such container.
pub async fn find(target: &ContainerTarget, cx: &Cx<'_>) -> Result<BTreeMap<String, String>, String> {
    let text = |template: &Template| cx.text(template).map_err(|e| e.to_string());
    let engine = target.engine.as_ref().map(text).transpose()?;
    let engine = cx.world.containers.engine(engine.as_deref());
    let mut found = Vec::new();
    if let Some(name) = &target.name {
        let name = text(name)?;
        let one = cx.world.containers.inspect(&engine, &name).await.map_err(|e| e.to_string())?;
        found.push(one.ok_or_else(|| format!("{engine} has no container `{name}`"))?);
    } else {
        let mut labels = BTreeMap::new();
        for (key, value) in &target.labels {
            labels.insert(key.clone(), text(value)?);
        }
        if let Some(compose) = &target.compose {
            labels.insert(PROJECT.to_owned(), text(&compose.project)?);
            labels.insert(SERVICE.to_owned(), text(&compose.service)?);
        }
        let ids = cx.world.containers.labelled(&engine, &labels).await.map_err(|e| e.to_string())?;
        for id in ids {
            found.extend(cx.world.containers.inspect(&engine, &id).await.map_err(|e| e.to_string())?);
        }
        let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if found.is_empty() {
            return Err(format!("{engine} has no container with {}", wanted.join(", ")));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(fields(&engine, &found))
}

fn fields(engine: &str, found: &[Container]) -> BTreeMap<String, String> {
    let each = |part: fn(&Container) -> &str| found.iter().map(part).collect::<Vec<_>>().join(" ");
    let mut fields = BTreeMap::from([
        ("engine".to_owned(), engine.to_owned()),
        ("ids".to_owned(), each(|c| &c.id)),
        ("names".to_owned(), each(|c| &c.name)),
    ]);
    let Some(first) = found.first() else { return fields };
    fields.insert("id".to_owned(), first.id.clone());
    fields.insert("name".to_owned(), first.name.clone());
    fields.insert("image".to_owned(), first.image.clone());
    fields.extend(first.pid.map(|pid| ("pid".to_owned(), pid.to_string())));
    let address = first.networks.iter().map(|n| &n.address).find(|a| !a.is_empty());
    fields.extend(address.map(|address| ("address".to_owned(), address.clone())));
    // A label counts for the target only if all of it agree.
    for (key, value) in &first.labels {
        if found.iter().all(|c| c.labels.get(key) == Some(value)) {
            fields.insert(format!("label.{key}"), value.clone());
        }
    }
    fields
}

/// The containers of a target, as they are now.
pub(super) async fn all(target: &TargetRef, cx: &Cx<'_>) -> Result<Vec<(Held, Container)>, FaultError> {
    let found = cx.scope.target(target).await.map_err(FaultError::NothingToBreak)?;
    let field = |name: &str| found.fields.get(name).cloned().unwrap_or_default();
    let engine = field("engine");
    let mut all = Vec::new();
    for id in field("ids").split(' ').filter(|id| !id.is_empty()) {
        let Some(container) = cx.world.containers.inspect(&engine, id).await? else {
            let short = id.get(..12).unwrap_or(id);
            return Err(FaultError::NothingToBreak(format!("the container {short} of `{}` is gone", found.name)));
        };
        all.push((Held::of(&engine, &container), container));
    }
    Ok(all)
}

/// Those of a target that run; it is an error if there is none.
pub(super) async fn running(target: &TargetRef, cx: &Cx<'_>) -> Result<Vec<(Held, Container)>, FaultError> {
    let mut all = all(target, cx).await?;
    let how: Vec<String> = all.iter().map(|(held, c)| format!("{} is {}", held.name, said(c.status))).collect();
    all.retain(|(_, container)| container.status == Status::Running);
    if all.is_empty() {
        return Err(FaultError::NothingToBreak(format!("no container runs: {}", how.join(", "))));
    }
    Ok(all)
}

/// The same, refused if one of them would be gone for good when it stops.
pub(super) async fn stoppable(target: &TargetRef, cx: &Cx<'_>) -> Result<Vec<Held>, FaultError> {
    let running = running(target, cx).await?;
    if let Some((held, _)) = running.iter().find(|(_, container)| container.removed_when_stopped) {
        let why = format!("the container {} is removed as soon as it stops (--rm): it could not come back", held.name);
        return Err(AdapterError::Refused(why).into());
    }
    Ok(running.into_iter().map(|(held, _)| held).collect())
}

/// A status in a sentence.
pub(super) fn said(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Stopped => "stopped",
        Status::Dead => "dead",
    }
}

impl Held {
    fn of(engine: &str, container: &Container) -> Self {
        let parts = [PROJECT, SERVICE, NUMBER];
        let label = |key: &&str| Some(((*key).to_owned(), container.labels.get(*key)?.clone()));
        let compose: BTreeMap<String, String> = parts.iter().filter_map(label).collect();
        Self {
            engine: engine.to_owned(),
            id: container.id.clone(),
            name: container.name.clone(),
            // Less than all of them names more than one container.
            compose: if compose.len() == parts.len() { compose } else { BTreeMap::new() },
            started: container.started.clone(),
        }
    }

    /// The very container.
    pub(super) async fn itself(&self, cx: &Cx<'_>) -> Result<Option<Container>, FaultError> {
        Ok(cx.world.containers.inspect(&self.engine, &self.id).await?)
    }

    /// What has become of it.
    pub(super) async fn now(&self, cx: &Cx<'_>) -> Result<Now, FaultError> {
        let itself = self.itself(cx).await?.filter(|c| c.status != Status::Dead);
        if let Some(same) = itself.as_ref().filter(|c| c.name == self.name) {
            return Ok(Now::Same(same.clone()));
        }
        let other = |found: Option<Container>| found.filter(|c| c.id != self.id && c.status != Status::Dead);
        let named = cx.world.containers.inspect(&self.engine, &self.name).await?;
        if let Some(heir) = other(named.filter(|c| c.name == self.name)) {
            return Ok(Now::Replaced(heir));
        }
        if !self.compose.is_empty() {
            for id in cx.world.containers.labelled(&self.engine, &self.compose).await? {
                if let Some(heir) = other(cx.world.containers.inspect(&self.engine, &id).await?) {
                    return Ok(Now::Replaced(heir));
                }
            }
        }
        Ok(itself.map_or(Now::Gone, Now::Same))
    }

    /// Does something to one container of this engine.
    pub(super) async fn act(&self, id: &str, act: &Act, cx: &Cx<'_>) -> Result<(), FaultError> {
        Ok(cx.world.containers.act(&self.engine, id, act).await?)
    }

    /// Lets what carries the name run again: thaws it, or starts it.
    pub(super) async fn run_again(&self, cx: &Cx<'_>) -> Result<(), FaultError> {
        let (Now::Same(container) | Now::Replaced(container)) = self.now(cx).await? else {
            let why = format!("the container {} is gone, and nothing is in its place", self.name);
            return Err(AdapterError::Missing(why).into());
        };
        let act = match container.status {
            Status::Running | Status::Restarting => return Ok(()),
            Status::Paused => Act::Unpause,
            Status::Stopped | Status::Dead => Act::Start,
        };
        self.act(&container.id, &act, cx).await
    }

    /// Does what carries the name run?
    pub(super) async fn runs(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let name = &self.name;
        Ok(match self.now(cx).await? {
            Now::Same(c) => {
                Look { holds: c.status == Status::Running, detail: format!("{name} is {}", said(c.status)) }
            }
            Now::Replaced(c) => {
                let short = c.id.get(..12).unwrap_or(&c.id);
                let detail = format!("{name} was replaced by {short}, which is {}", said(c.status));
                Look { holds: c.status == Status::Running, detail }
            }
            Now::Gone => Look { holds: false, detail: format!("{name} is gone, and nothing is in its place") },
        })
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{} ({})", self.name, self.id.get(..12).unwrap_or(&self.id))
    }
}

/// Heals all, and says what could not be: one that fails does not keep the others broken.
pub(super) async fn run_all_again(held: &[Held], cx: &Cx<'_>) -> Result<(), FaultError> {
    let mut failed = None;
    for each in held.iter().rev() {
        failed = each.run_again(cx).await.err().or(failed);
    }
    failed.map_or(Ok(()), Err)
}

/// Do all run?
pub(super) async fn all_run(held: &[Held], cx: &Cx<'_>) -> Result<Look, FaultError> {
    let mut looks = Vec::new();
    for each in held {
        looks.push(each.runs(cx).await?);
    }
    Ok(together(looks))
}

/// One look from several: all must hold.
pub(super) fn together(looks: Vec<Look>) -> Look {
    let holds = looks.iter().all(|look| look.holds);
    let details: Vec<String> = looks.into_iter().map(|look| look.detail).collect();
    Look { holds, detail: details.join(", ") }
}

/// The very containers, looked at one by one.
pub(super) async fn each_is(
    held: &[Held],
    cx: &Cx<'_>,
    fits: impl Fn(&Held, &Container) -> Option<String> + Send,
) -> Result<Look, FaultError> {
    let mut looks = Vec::new();
    for each in held {
        looks.push(match each.itself(cx).await? {
            None => Look { holds: false, detail: format!("{} is gone", each.name) },
            Some(c) => {
                let done = fits(each, &c);
                let detail = done.clone().unwrap_or_else(|| format!("{} is {}", each.name, said(c.status)));
                Look { holds: done.is_some(), detail }
            }
        });
    }
    Ok(together(looks))
}

/// The command for people that does something to all of them.
pub(super) fn by_hand(held: &[Held], verb: &str) -> String {
    let names: Vec<String> = held.iter().map(|each| word(&each.name)).collect();
    let engine = held.first().map(|each| word(&each.engine)).unwrap_or_default();
    format!("docker -H {engine} {verb} {}", names.join(" "))
}
