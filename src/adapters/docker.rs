//! The Docker Engine API, as far as it is needed, over a Unix socket or plain TCP: one connection a call. Paths carry no
//! version, so an engine answers with its own; only fields that all of them have are read. Podman answers the same calls.
//!
//! Source: <https://docs.docker.com/reference/api/engine/>

use super::containers::{Act, Attachment, Container, Containers, Status, Wanted};
use super::{AdapterError, Fut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Of a call that waits for nothing.
const LIMIT: Duration = Duration::from_secs(20);
/// More of an answer is an error.
const MOST: usize = 16 << 20;
const SOCKETS: [&str; 3] = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"];

/// The engines that this machine can reach.
pub(super) struct Engines;

/// One call.
struct Call<'a> {
    engine: &'a str,
    method: Method,
    path: String,
    body: Option<Value>,
    limit: Duration,
    /// For people: `stop container web`.
    what: String,
}

struct Reply {
    status: u16,
    body: Vec<u8>,
}

/// Where an engine listens.
enum Address<'a> {
    Unix(&'a Path),
    Tcp(&'a str),
}

fn address(engine: &str) -> Result<Address<'_>, AdapterError> {
    let rest = |scheme: &str| engine.strip_prefix(scheme);
    if let Some(path) = rest("unix://").or_else(|| engine.starts_with('/').then_some(engine)) {
        return Ok(Address::Unix(Path::new(path)));
    }
    match rest("tcp://").or_else(|| rest("http://")) {
        Some(host) => Ok(Address::Tcp(host.trim_end_matches('/'))),
        None => Err(AdapterError::Other(format!(
            "the container engine `{engine}` cannot be reached: write unix:///PATH or tcp://HOST:PORT (for TLS or ssh, \
             forward its socket)"
        ))),
    }
}

impl Call<'_> {
    fn error(&self, why: impl std::fmt::Display) -> String {
        format!("cannot {}: {why}", self.what)
    }

    async fn send(&self) -> Result<Reply, AdapterError> {
        let exchange = async {
            let unreachable =
                |e: std::io::Error| AdapterError::Unreachable(self.error(format!("{}: {e}", self.engine)));
            match address(self.engine)? {
                Address::Unix(path) => {
                    self.over(tokio::net::UnixStream::connect(path).await.map_err(unreachable)?).await
                }
                Address::Tcp(host) => self.over(tokio::net::TcpStream::connect(host).await.map_err(unreachable)?).await,
            }
        };
        let late = |_| AdapterError::TimedOut(self.error(format!("no answer within {:?}", self.limit)));
        tokio::time::timeout(self.limit, exchange).await.map_err(late)?
    }

    async fn over(&self, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Reply, AdapterError> {
        let other = |e: &dyn std::fmt::Display| AdapterError::Other(self.error(e));
        let (mut sender, connection) = handshake(TokioIo::new(io)).await.map_err(|e| other(&e))?;
        let body = self.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let request = Request::builder().method(self.method.clone()).uri(&self.path).header(HOST, "localhost");
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(body)));
        let answered = async {
            let answer = sender.send_request(request.map_err(|e| other(&e))?).await.map_err(|e| other(&e))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(|e| other(&e))?;
            Ok(Reply { status, body: body.to_bytes().to_vec() })
        };
        let mut connection = std::pin::pin!(connection);
        let mut answered = std::pin::pin!(answered);
        tokio::select! {
            answer = &mut answered => answer,
            // A connection that ends first has handed over what it got.
            _ended = &mut connection => answered.await,
        }
    }

    /// The answer, or what the engine said instead.
    async fn done(&self) -> Result<Vec<u8>, AdapterError> {
        let Reply { status, body } = self.send().await?;
        if (200..300).contains(&status) || status == 304 {
            return Ok(body);
        }
        let said = serde_json::from_slice::<Said>(&body).map(|said| said.message);
        let said = said.unwrap_or_else(|_| String::from_utf8_lossy(&body).trim().to_owned());
        let text = self.error(format!("{said} (status {status})"));
        Err(match status {
            404 => AdapterError::Missing(text),
            400 | 403 | 409 => AdapterError::Refused(text),
            _ => AdapterError::Other(text),
        })
    }

    async fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, AdapterError> {
        let body = self.done().await?;
        serde_json::from_slice(&body).map_err(|e| AdapterError::Other(self.error(format!("an odd answer: {e}"))))
    }
}

/// What an engine says when it will not.
#[derive(Deserialize)]
struct Said {
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    state: State,
    config: Config,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    pid: i32,
    #[serde(default)]
    started_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    auto_remove: bool,
    #[serde(default)]
    network_mode: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    networks: Option<BTreeMap<String, Endpoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(default, rename = "NetworkID")]
    network_id: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    links: Option<Vec<String>>,
    #[serde(default)]
    driver_opts: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "IPAMConfig")]
    ipam: Option<Ipam>,
    #[serde(default, rename = "IPAddress")]
    address: String,
}

#[derive(Deserialize)]
struct Ipam {
    #[serde(default, rename = "IPv4Address")]
    ipv4: Option<String>,
    #[serde(default, rename = "IPv6Address")]
    ipv6: Option<String>,
    #[serde(default, rename = "LinkLocalIPs")]
    link_local: Option<Vec<String>>,
}

impl From<Inspected> for Container {
    fn from(found: Inspected) -> Self {
        let short = found.id.get(..12).unwrap_or(&found.id).to_owned();
        let status = match found.state.status.as_str() {
            "running" | "stopping" => Status::Running,
            "paused" => Status::Paused,
            "restarting" => Status::Restarting,
            "created" | "configured" | "initialized" | "exited" | "stopped" => Status::Stopped,
            _ => Status::Dead,
        };
        let networks = found.network_settings.networks.unwrap_or_default();
        Self {
            name: found.name.trim_start_matches('/').to_owned(),
            image: found.config.image,
            labels: found.config.labels.unwrap_or_default(),
            status,
            pid: (found.state.pid > 0).then_some(found.state.pid),
            started: found.state.started_at,
            removed_when_stopped: found.host_config.auto_remove,
            network_mode: found.host_config.network_mode,
            networks: networks.into_iter().map(|(name, endpoint)| endpoint.attachment(name, &short)).collect(),
            id: found.id,
        }
    }
}

impl Endpoint {
    fn attachment(self, network: String, short: &str) -> Attachment {
        let some = |text: Option<String>| text.filter(|t| !t.is_empty());
        let wanted = self.ipam.map(|ipam| Wanted {
            ipv4: some(ipam.ipv4),
            ipv6: some(ipam.ipv6),
            link_local: ipam.link_local.unwrap_or_default(),
        });
        Attachment {
            network,
            network_id: self.network_id,
            // Engines put the container's short id among them, and do so again.
            aliases: self.aliases.unwrap_or_default().into_iter().filter(|alias| alias != short).collect(),
            wanted: wanted.filter(|w| *w != Wanted::default()),
            links: self.links.unwrap_or_default(),
            options: self.driver_opts.unwrap_or_default(),
            address: self.address,
        }
    }
}

/// The body that attaches a container.
fn connecting(id: &str, to: &Attachment) -> Value {
    let mut endpoint = json!({"Aliases": to.aliases, "Links": to.links, "DriverOpts": to.options});
    if let Some(wanted) = &to.wanted {
        let mut ipam = json!({});
        if let Some(ipv4) = &wanted.ipv4 {
            ipam["IPv4Address"] = json!(ipv4);
        }
        if let Some(ipv6) = &wanted.ipv6 {
            ipam["IPv6Address"] = json!(ipv6);
        }
        if !wanted.link_local.is_empty() {
            ipam["LinkLocalIPs"] = json!(wanted.link_local);
        }
        endpoint["IPAMConfig"] = ipam;
    }
    json!({"Container": id, "EndpointConfig": endpoint})
}

/// A part of a path or query: everything but letters, digits and `-._~` as %XX (RFC 3986, 2.1).
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// How an act is asked for: path, body, how long it may take, and what it is called.
fn asking(id: &str, act: &Act) -> (String, Option<Value>, Duration, String) {
    let of = |what: &str| format!("/containers/{}/{what}", escaped(id));
    let short = id.get(..12).unwrap_or(id);
    let plain = |path: &str, word: &str| (of(path), None, LIMIT, format!("{word} the container {short}"));
    match act {
        Act::Kill(signal) => plain(&format!("kill?signal={signal}"), "kill"),
        Act::Start => plain("start", "start"),
        Act::Pause => plain("pause", "pause"),
        Act::Unpause => plain("unpause", "unpause"),
        Act::Stop(grace) | Act::Restart(grace) => {
            let word = if matches!(act, Act::Stop(_)) { "stop" } else { "restart" };
            let what = format!("{word} the container {short}");
            (of(&format!("{word}?t={}", grace.as_secs())), None, LIMIT + *grace, what)
        }
        Act::Disconnect(network) => {
            let path = format!("/networks/{}/disconnect", escaped(network));
            let what = format!("take the container {short} off the network {network}");
            (path, Some(json!({"Container": id, "Force": false})), LIMIT, what)
        }
        Act::Connect(to) => {
            let path = format!("/networks/{}/connect", escaped(&to.network));
            let what = format!("attach the container {short} to the network {}", to.network);
            (path, Some(connecting(id, to)), LIMIT, what)
        }
    }
}

impl Containers for Engines {
    fn engine(&self, wanted: Option<&str>) -> String {
        if let Some(wanted) = wanted {
            return wanted.to_owned();
        }
        if let Some(host) = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()) {
            return host;
        }
        let own = std::env::var("XDG_RUNTIME_DIR").map(|dir| format!("{dir}/podman/podman.sock"));
        let all = SOCKETS.iter().map(|s| (*s).to_owned()).chain(own);
        let there = all.into_iter().find(|path| Path::new(path).exists());
        format!("unix://{}", there.unwrap_or_else(|| SOCKETS[0].to_owned()))
    }

    fn labelled<'a>(
        &'a self,
        engine: &'a str,
        labels: &'a BTreeMap<String, String>,
    ) -> Fut<'a, Result<Vec<String>, AdapterError>> {
        Box::pin(async move {
            let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let filters = json!({"label": labels}).to_string();
            let path = format!("/containers/json?all=true&filters={}", escaped(&filters));
            let what = format!("list containers with {}", labels.join(", "));
            let call = Call { engine, method: Method::GET, path, body: None, limit: LIMIT, what };
            let listed: Vec<Listed> = call.read().await?;
            Ok(listed.into_iter().map(|container| container.id).collect())
        })
    }

    fn inspect<'a>(&'a self, engine: &'a str, which: &'a str) -> Fut<'a, Result<Option<Container>, AdapterError>> {
        Box::pin(async move {
            let (path, what) =
                (format!("/containers/{}/json", escaped(which)), format!("look at the container {which}"));
            let call = Call { engine, method: Method::GET, path, body: None, limit: LIMIT, what };
            match call.read::<Inspected>().await {
                Ok(found) => Ok(Some(found.into())),
                Err(AdapterError::Missing(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn act<'a>(&'a self, engine: &'a str, id: &'a str, act: &'a Act) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            let (path, body, limit, what) = asking(id, act);
            Call { engine, method: Method::POST, path, body, limit, what }.done().await.map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_container() {
        let answer = json!({
            "Id": "0123456789abcdef", "Name": "/web",
            "State": {"Status": "paused", "Pid": 42, "StartedAt": "2026-01-01T00:00:00Z"},
            "Config": {"Image": "nginx", "Labels": {"blackstart": "allowed"}},
            "HostConfig": {"AutoRemove": true, "NetworkMode": "front"},
            "NetworkSettings": {"Networks": {"front": {
                "NetworkID": "n1", "Aliases": ["web", "0123456789ab"], "Links": null, "DriverOpts": null,
                "IPAMConfig": {"IPv4Address": "10.0.0.9"}, "IPAddress": "10.0.0.9"}}}
        });
        let container: Container = serde_json::from_value::<Inspected>(answer).unwrap().into();
        assert_eq!((container.name.as_str(), container.status, container.pid), ("web", Status::Paused, Some(42)));
        let network = &container.networks[0];
        assert_eq!(network.aliases, ["web"], "the engine's own alias is not one of ours");
        let body = connecting("id", network);
        assert_eq!(body["EndpointConfig"]["IPAMConfig"], json!({"IPv4Address": "10.0.0.9"}));
        let least = json!({"Id": "a", "Name": "b", "State": {"Status": "created"}, "Config": {}});
        let container: Container = serde_json::from_value::<Inspected>(least).unwrap().into();
        assert_eq!((container.status, container.pid), (Status::Stopped, None));
    }

    #[test]
    fn names_do_not_leave_their_place_in_a_path() {
        assert_eq!(escaped("a/../b?c=\"d e\""), "a%2F..%2Fb%3Fc%3D%22d%20e%22");
        assert_eq!(asking("web", &Act::Stop(Duration::from_secs(3))).0, "/containers/web/stop?t=3");
        assert!(address("ssh://host").is_err() && address("unix:///x").is_ok() && address("tcp://h:1").is_ok());
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named() {
        let error = Engines.inspect("unix:///nowhere/docker.sock", "web").await.unwrap_err();
        assert!(
            matches!(&error, AdapterError::Unreachable(m) if m.contains("/nowhere") && m.contains("web")),
            "{error}"
        );
    }
}
