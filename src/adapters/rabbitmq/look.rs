//! Questions about a RabbitMQ cluster, for probes: which nodes run, who leads a queue, how many of its members are online. The
//! nodes' management answers them (rabbitmq.com/docs/http-api-reference); how many messages there are, the queue itself says.
//! What an answer means is the playbook's business.

use super::connection::Trouble;
use super::frame::{Args, name};
use super::nodes::Nodes;
use super::queues::passive;
use crate::adapters::connection::{Connection, Failure, Message, Site};
use crate::adapters::systems::{RabbitmqAsk, Seen};
use crate::adapters::{AdapterError, base64};
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::time::timeout;

/// One look: at the cluster, or at one of its queues.
pub(super) async fn look(
    nodes: &Nodes,
    management: Option<&str>,
    queue: &str,
    ask: RabbitmqAsk,
) -> Result<Seen, AdapterError> {
    if ask == RabbitmqAsk::Messages {
        return messages(nodes, queue).await;
    }
    let management = Management::new(nodes, management)?;
    match ask {
        RabbitmqAsk::Running => management.nodes().await.map(|all| running(&all)),
        RabbitmqAsk::Partitions => management.nodes().await.map(|all| partitions(&all)),
        RabbitmqAsk::Alarms => management.nodes().await.map(|all| alarms(&all)),
        RabbitmqAsk::Leader => management.leader(queue).await,
        RabbitmqAsk::Members => management.queue(queue).await.map(|queue| seen(queue.members.len(), &queue)),
        RabbitmqAsk::Online => management.queue_if_any(queue).await.map(|queue| seen(queue.online.len(), &queue)),
        RabbitmqAsk::Quorum => management.queue_if_any(queue).await.map(|queue| {
            let majority = queue.leader.is_some() && queue.online.len() * 2 > queue.members.len();
            seen(if majority { "yes" } else { "no" }, &queue)
        }),
        RabbitmqAsk::Messages => messages(nodes, queue).await,
    }
}

/// A queue as management shows it.
#[derive(Default)]
struct Queue {
    leader: Option<String>,
    members: Vec<String>,
    online: Vec<String>,
}

impl Queue {
    /// A queue that is not replicated has one member, which is online when the queue runs.
    fn of(answer: &Value) -> Self {
        let names = |key: &str| -> Vec<String> {
            let list = answer[key].as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        if answer["members"].is_array() {
            let (members, online) = (names("members"), names("online"));
            // The node that led may be gone, and is named until there is another.
            let leader = answer["leader"].as_str().map(str::to_owned).filter(|leader| online.contains(leader));
            return Self { leader, members, online };
        }
        let node: Vec<String> = answer["node"].as_str().map(str::to_owned).into_iter().collect();
        let runs = answer["state"] == "running";
        let online = if runs { node.clone() } else { Vec::new() };
        Self { leader: online.first().cloned(), members: node, online }
    }
}

fn seen(value: impl ToString, queue: &Queue) -> Seen {
    let fields = [
        ("leader", queue.leader.clone().unwrap_or_default()),
        ("members", queue.members.join(" ")),
        ("online", queue.online.join(" ")),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Seen { value: value.to_string(), fields }
}

/// How many there are, and who.
fn count(names: &[String]) -> Seen {
    Seen { value: names.len().to_string(), fields: BTreeMap::from([("names".to_owned(), names.join(" "))]) }
}

fn name_of(node: &Value) -> String {
    node["name"].as_str().unwrap_or_default().to_owned()
}

fn running(all: &[Value]) -> Seen {
    let (up, down): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|node| node["running"] == true);
    let names = |list: Vec<&Value>| list.into_iter().map(name_of).collect::<Vec<_>>();
    let mut seen = count(&names(up));
    seen.fields.insert("others".to_owned(), names(down).join(" "));
    seen
}

/// Nodes that lost sight of others and saw them again: what happened meanwhile is theirs alone.
fn partitions(all: &[Value]) -> Seen {
    let apart = all.iter().filter(|node| node["partitions"].as_array().is_some_and(|list| !list.is_empty()));
    count(&apart.map(name_of).collect::<Vec<_>>())
}

fn alarms(all: &[Value]) -> Seen {
    let of = |node: &Value| {
        let kinds = [("mem_alarm", "memory"), ("disk_free_alarm", "disk")];
        let rings = kinds.into_iter().filter(|(key, _)| node[key] == true);
        rings.map(|(_, kind)| format!("{kind}:{}", name_of(node))).collect::<Vec<_>>()
    };
    count(&all.iter().flat_map(of).collect::<Vec<_>>())
}

/// The nodes' management.
struct Management<'a> {
    nodes: &'a Nodes,
    sites: Vec<(String, Site)>,
}

impl<'a> Management<'a> {
    fn new(nodes: &'a Nodes, url: Option<&str>) -> Result<Self, AdapterError> {
        let label = &nodes.place.label;
        let text =
            format!("{label}: only its management knows that; add `management: http://HOST:15672` to the target");
        let url = url.ok_or(AdapterError::Missing(text))?;
        Ok(Self { nodes, sites: nodes.place.management(url)? })
    }

    async fn nodes(&self) -> Result<Vec<Value>, AdapterError> {
        let columns = "name,running,partitions,mem_alarm,disk_free_alarm";
        match self.get(&format!("/api/nodes?columns={columns}")).await? {
            Value::Array(all) => Ok(all),
            _ => Err(self.strange("its nodes are no list")),
        }
    }

    async fn queue(&self, queue: &str) -> Result<Queue, AdapterError> {
        let word = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let path = format!("/api/queues/{}/{}", word(&self.nodes.place.vhost), word(queue));
        self.get(&path).await.map(|answer| Queue::of(&answer))
    }

    /// One whose only node is down is not listed: nobody has it.
    async fn queue_if_any(&self, queue: &str) -> Result<Queue, AdapterError> {
        match self.queue(queue).await {
            Err(AdapterError::Missing(_)) => Ok(Queue::default()),
            found => found,
        }
    }

    async fn leader(&self, queue: &str) -> Result<Seen, AdapterError> {
        let found = self.queue(queue).await?;
        let Some(leader) = &found.leader else {
            return Err(self.strange(&format!("no node leads the queue `{queue}`")));
        };
        Ok(seen(leader, &found))
    }

    fn strange(&self, what: &str) -> AdapterError {
        AdapterError::Unreachable(format!("{}: {what}", self.nodes.place.label))
    }

    /// What the first node answers that is there.
    async fn get(&self, path: &str) -> Result<Value, AdapterError> {
        let mut last = self.strange("no management is named");
        for (at, site) in &self.sites {
            match timeout(self.nodes.patience * 2, self.ask(at, site, path)).await {
                Ok(Err(AdapterError::Unreachable(why))) => last = AdapterError::Unreachable(why),
                Ok(answer) => return answer,
                Err(_) => last = self.strange(&format!("no answer from the management at {at}")),
            }
        }
        Err(last)
    }

    async fn ask(&self, at: &str, site: &Site, path: &str) -> Result<Value, AdapterError> {
        let place = &self.nodes.place;
        let failed = |failure: Failure| match failure {
            Failure::NotSent(why) | Failure::Undecided(why) => self.strange(&format!("the management at {at}: {why}")),
            Failure::Resources(why) => AdapterError::Other(format!("{}: {why}", place.label)),
        };
        let login = base64::encoded(format!("{}:{}", place.user, place.password.expose_secret()).as_bytes());
        let mut headers = HeaderMap::new();
        let login = HeaderValue::from_str(&format!("Basic {login}"));
        headers.extend(login.ok().map(|login| (AUTHORIZATION, login)));
        let message = Message { method: Method::GET, headers, body: Bytes::new() };
        let mut connection = Connection::open(site, self.nodes.patience).await.map_err(failed)?;
        let reply = connection.exchange(path, message).await.map_err(failed)?;
        let refused =
            |why: String| Err(AdapterError::Refused(format!("{}: the management at {at} {why}", place.label)));
        match (reply.status, serde_json::from_slice(&reply.body)) {
            (200, Ok(answer)) => Ok(answer),
            (401, _) => refused(format!(
                "does not let the user `{0}` in; is the password right, and has it a tag: rabbitmqctl set_user_tags '{0}' monitoring",
                place.user
            )),
            (404, _) => Err(AdapterError::Missing(format!("{}: the management at {at} knows no {path}", place.label))),
            (status, _) => refused(format!("answers with status {status}")),
        }
    }
}

/// How many messages wait in a queue, and how many consume it, as the queue itself says.
async fn messages(nodes: &Nodes, queue: &str) -> Result<Seen, AdapterError> {
    let asked = async {
        let (mut connection, _) = nodes.connect(0).await?;
        let answer = connection.call(passive(queue), name::DECLARE_OK).await?;
        connection.part(nodes.patience / 4).await;
        Ok::<_, Trouble>(answer)
    };
    let answer = asked.await.map_err(|trouble| nodes.about(&format!("counting `{queue}`"), trouble, None))?;
    let mut args = Args(&answer);
    let messages = args.short().and_then(|_| args.u32()).unwrap_or_default();
    let consumers = args.u32().unwrap_or_default();
    let fields = BTreeMap::from([("consumers".to_owned(), consumers.to_string())]);
    Ok(Seen { value: messages.to_string(), fields })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_queue_has_a_leader_only_if_that_is_online() {
        let three = ["a@h", "b@h", "c@h"];
        let queue = Queue::of(&json!({"leader": "a@h", "members": three, "online": ["b@h", "c@h"]}));
        assert_eq!((queue.leader, queue.members.len(), queue.online.len()), (None, 3, 2));
        let queue = Queue::of(&json!({"leader": "b@h", "members": three, "online": ["b@h"]}));
        assert_eq!(queue.leader.as_deref(), Some("b@h"));
        let classic = |state: &str| Queue::of(&json!({"node": "a@h", "state": state}));
        assert_eq!((classic("running").leader.as_deref(), classic("running").members.len()), (Some("a@h"), 1));
        assert_eq!((classic("down").leader, classic("down").online.len()), (None, 0));
    }

    #[test]
    fn nodes_are_counted_by_what_they_say() {
        let all = [
            json!({"name": "a", "running": true, "partitions": ["b"], "mem_alarm": true, "disk_free_alarm": true}),
            json!({"name": "b", "running": false}),
            json!({"name": "c", "running": true, "partitions": [], "mem_alarm": false}),
        ];
        assert_eq!((running(&all).value.as_str(), running(&all).fields["others"].as_str()), ("2", "b"));
        assert_eq!(partitions(&all), count(&["a".to_owned()]));
        assert_eq!(alarms(&all).fields["names"], "memory:a disk:a");
    }
}
