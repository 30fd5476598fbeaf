//! What stands before the pods in a test, as a double: a TCP router that follows the Endpoints of a Service, as
//! kube-proxy and a load balancer do, and a front that leads to the first of several sites that is healthy, as DNS
//! failover or a global load balancer does. Neither tries again for its client.

use crate::api::Seen;
use crate::control_plane::ControlPlane;
use crate::processes::Beside;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// A connection to a pod is there within this, or never.
const CONNECT: Duration = Duration::from_secs(1);
/// So many connections at once.
const CONNECTIONS: usize = 1024;
/// Sites are looked at so often, and an answer comes within this.
const LOOK: Duration = Duration::from_millis(250);
/// So many looks in a row must agree.
const AGREE: u32 = 2;

type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// Where connections are led to: the next of these, in turn.
#[derive(Clone, Default)]
struct Ways {
    ready: Addresses,
    turn: Arc<AtomicUsize>,
}

impl Ways {
    fn next(&self) -> Option<SocketAddr> {
        let ready = self.ready.lock().unwrap();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        (!ready.is_empty()).then(|| ready[turn % ready.len()])
    }
}

/// A port of this machine that leads to the ready pods of a Service.
pub struct Router {
    pub port: u16,
    ways: Ways,
    _beside: Beside,
}

impl Router {
    /// To the Service's first port, or that of this name.
    pub fn of(plane: &ControlPlane, namespace: &str, service: &str, port: Option<&str>) -> Self {
        let ways = Ways::default();
        let (api, inside, wanted) = (plane.api(), ways.clone(), port.map(str::to_owned));
        let path = format!("/api/v1/namespaces/{namespace}/endpoints");
        let query = format!("fieldSelector=metadata.name%3D{service}");
        let (listener, port) = listener();
        let beside = Beside::run(move |stopped| async move {
            let ready = Arc::clone(&inside.ready);
            let set = |object: Option<&Value>| {
                *ready.lock().unwrap() = object.map(|it| addresses(it, wanted.as_deref())).unwrap_or_default()
            };
            let follow = api.follow(&path, &query, |seen| match seen {
                Seen::All(all) => set(all.first()),
                Seen::Is(object) => set(Some(&object)),
                Seen::Gone(_) => set(None),
            });
            tokio::select! {
                () = follow => {}
                () = lead(listener, || inside.next()) => {}
                _ = stopped => {}
            }
        });
        Self { port, ways, _beside: beside }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it leads now.
    pub fn ready(&self) -> Vec<SocketAddr> {
        self.ways.ready.lock().unwrap().clone()
    }
}

/// The ready addresses of an Endpoints object.
fn addresses(object: &Value, wanted: Option<&str>) -> Vec<SocketAddr> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for subset in list(&object["subsets"]) {
        let ports = list(&subset["ports"]);
        let port = ports
            .iter()
            .find(|port| wanted.is_none_or(|name| port["name"] == name))
            .and_then(|port| port["port"].as_u64());
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        let one = |address: &Value| Some(SocketAddr::new(address["ip"].as_str()?.parse().ok()?, port));
        all.extend(list(&subset["addresses"]).iter().filter_map(one));
    }
    all
}

fn listener() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Leads every connection on; one for which there is no way is closed.
async fn lead(listener: std::net::TcpListener, next: impl Fn() -> Option<SocketAddr>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let to = next();
        tokio::spawn(async move {
            if let Some(to) = to
                && let Ok(Ok(mut server)) = timeout(CONNECT, TcpStream::connect(to)).await
            {
                // Either side may break it off.
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
            drop(permit);
        });
    }
}

/// A port of this machine that leads to the first of several sites whose page answers 200.
pub struct Front {
    pub port: u16,
    _beside: Beside,
}

impl Front {
    /// Sites by their ports, the best first, and the page that says that one is healthy.
    pub fn over(sites: &[u16], page: &str) -> Self {
        let (listener, port) = listener();
        let (sites, page) = (sites.to_vec(), page.to_owned());
        let beside = Beside::run(move |stopped| async move {
            let chosen = Arc::new(Mutex::new(None));
            let health = choose(&sites, &page, &chosen);
            tokio::select! {
                () = health => {}
                () = lead(listener, || *chosen.lock().unwrap()) => {}
                _ = stopped => {}
            }
        });
        Self { port, _beside: beside }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Looks at all sites again and again, and chooses the first healthy one.
async fn choose(sites: &[u16], page: &str, chosen: &Mutex<Option<SocketAddr>>) {
    let mut known: Vec<(bool, u32)> = vec![(false, 0); sites.len()];
    loop {
        let looks = futures_util::future::join_all(sites.iter().map(|port| answers(*port, page))).await;
        for ((healthy, against), now) in known.iter_mut().zip(looks) {
            *against = if now == *healthy { 0 } else { *against + 1 };
            if *against >= AGREE {
                (*healthy, *against) = (now, 0);
            }
        }
        let first = sites.iter().zip(&known).find(|(_, (healthy, _))| *healthy);
        *chosen.lock().unwrap() = first.map(|(port, _)| SocketAddr::from(([127, 0, 0, 1], *port)));
        sleep(LOOK).await;
    }
}

async fn answers(port: u16, page: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request = format!("GET {page} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.ok()?;
        Some(head.ends_with(b" 200"))
    };
    timeout(CONNECT, ask).await.ok().flatten() == Some(true)
}
