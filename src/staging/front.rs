//! The router's front: which requests it answers itself (`/health`, `/cluster…`) and that all others are forwarded.

use super::Replication;
use super::cluster::Cluster;
use super::node::{Health, Role};
use super::node_http::failed;
use super::router::{Forwarder, Leader};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What `GET /cluster` answers.
#[derive(Debug, Serialize)]
pub struct View {
    /// Who leads.
    pub leader: &'static str,
    /// Since which election.
    pub term: u64,
    /// Whether the leader answered its last health check.
    pub healthy: bool,
    /// Whether a standby follows.
    pub streaming: bool,
    /// `async` or `sync`.
    pub replication: Replication,
    /// Records the standby does not have yet.
    pub lag_records: usize,
    /// Age of the oldest of them.
    pub lag_ms: u64,
    /// How many nodes say that they are primary.
    pub primaries: usize,
    /// How many nodes are alive.
    pub alive: usize,
    /// Both nodes.
    pub nodes: Vec<NodeView>,
}

/// A node in [`View`].
#[derive(Debug, Serialize)]
pub struct NodeView {
    /// `a` or `b`.
    pub name: &'static str,
    /// Its process, also when it is dead; 0 if it never lived.
    pub pid: u32,
    /// Whether its process is there (frozen counts).
    pub alive: bool,
    /// What it says about itself; nothing if it does not answer.
    pub health: Option<Health>,
}

impl Cluster {
    async fn view(&self) -> View {
        let limit = self.settings.check_timeout;
        let (a, b) = tokio::join!(self.health(0, limit), self.health(1, limit));
        let health = [a.ok(), b.ok()];
        let Leader { node, term, .. } = self.leading();
        let leading = health[self.leading_index()].clone();
        let members = self.members();
        let nodes = (0..2).map(|i| NodeView {
            name: self.places[i].name,
            pid: members[i].last_pid,
            alive: members[i].process.is_some(),
            health: health[i].clone(),
        });
        View {
            leader: node,
            term,
            healthy: *self.healthy.borrow(),
            streaming: leading.as_ref().is_some_and(|h| h.streaming),
            replication: self.settings.replication,
            lag_records: leading.as_ref().map_or(0, |h| h.lag_records),
            lag_ms: leading.as_ref().map_or(0, |h| h.lag_ms),
            primaries: health.iter().flatten().filter(|h| h.role == Role::Primary).count(),
            alive: members.iter().filter(|m| m.process.is_some()).count(),
            nodes: nodes.collect(),
        }
    }
}

type Shared = State<Arc<Cluster>>;

/// Serves clients until the listener breaks.
pub(super) async fn serve(cluster: Arc<Cluster>, forwarder: Arc<Forwarder>, front: TcpListener) -> io::Result<()> {
    let app = Router::new()
        .route("/health", get(health))
        .route("/cluster", get(view))
        .route("/cluster/start", post(start_node))
        .route("/cluster/switchover", post(switch_over))
        .with_state(cluster)
        .fallback(move |request| Arc::clone(&forwarder).forward(request));
    let front = front.tap_io(|stream| {
        // Without it answers are only slower.
        let _best_effort = stream.set_nodelay(true);
    });
    axum::serve(front, app).await
}

async fn health(State(cluster): Shared) -> Response {
    let leader = cluster.leading().node;
    if *cluster.healthy.borrow() {
        format!("{leader} leads\n").into_response()
    } else {
        failed(StatusCode::SERVICE_UNAVAILABLE, format!("{leader} does not answer"))
    }
}

async fn view(State(cluster): Shared) -> Json<View> {
    Json(cluster.view().await)
}

#[derive(Deserialize)]
struct Which {
    node: Option<String>,
}

async fn start_node(State(cluster): Shared, Query(Which { node }): Query<Which>) -> Response {
    let named = node.as_ref().map(|name| cluster.places.iter().position(|place| place.name == name));
    let which = match named {
        Some(None) => return failed(StatusCode::NOT_FOUND, "the nodes are a and b"),
        Some(Some(index)) => vec![index],
        None => vec![0, 1],
    };
    match cluster.start_nodes(&which).await {
        Ok(()) => Json(cluster.view().await).into_response(),
        Err(why) => failed(StatusCode::GATEWAY_TIMEOUT, why),
    }
}

async fn switch_over(State(cluster): Shared) -> Response {
    match cluster.switch_over().await {
        Ok(()) => Json(cluster.view().await).into_response(),
        Err(why) => failed(StatusCode::CONFLICT, why),
    }
}
