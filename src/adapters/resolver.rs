//! What a resolver of ours is told and what it says: the words of its control socket, one JSON object a line; and a
//! question to it from outside. The resolver itself is in `helpers::resolver`; what faults do with it is in `faults`.

use super::proxy::{Keep, Life};
use super::{AdapterError, Fut};
use crate::clock::Clock;
use crate::model::{Dur, Owner};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UdpSocket;

/// How a name fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// There is no such name.
    Nxdomain,
    /// The server could not find out.
    Servfail,
    /// No answer comes.
    NoAnswer,
}

/// What the resolver does with names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameEffect {
    /// They fail.
    Fail(Failure),
    /// Answers come later.
    Slow(u64),
    /// They have other addresses.
    Answer {
        /// These; none of the asked kind is an empty answer.
        addresses: Vec<IpAddr>,
        /// For so many seconds.
        ttl: u32,
    },
}

/// A fault in the resolver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFault {
    /// The owner's tag: at most one fault each.
    pub owner: String,
    /// The owner for people, `RUN/FAULT`.
    pub name: String,
    /// `db.example.com` is that name, `*.example.com` all below it.
    pub names: Vec<String>,
    /// What it does.
    pub effect: NameEffect,
}

/// What the resolver is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolverAsk {
    /// Put a fault there; the owner's earlier one is replaced.
    Set(NameFault),
    /// Take the owner's fault away; nothing happens if there is none.
    Clear(String),
    /// Take all faults away.
    ClearAll,
    /// Only say how it is.
    State,
    /// End; only one whose runner is gone does.
    End,
}

/// What the resolver answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolverSaid {
    /// Done, or asked for: how it is now.
    State(Box<ResolverState>),
    /// It does not understand, or cannot.
    Error(String),
}

/// How the resolver is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolverState {
    /// Differs for every process that ever served this socket.
    pub instance: String,
    /// Where it is asked, by UDP and TCP.
    pub listen: String,
    /// Whom it asks.
    pub upstream: Option<SocketAddr>,
    /// What happens to it without its runner.
    pub life: Life,
    /// The faults in it.
    pub faults: Vec<NameFault>,
    /// Questions since its start.
    pub asked: u64,
    /// Those that a fault touched.
    pub touched: u64,
}

/// How a helper process is started: the parameters of `blackstart helper … resolver`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolverStart {
    /// Where it is asked, by UDP and TCP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whom it asks for names that it does not know itself; nobody if not given.
    pub upstream: Option<SocketAddr>,
    /// Names that it knows itself; `*.example.com` is all below that.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// What it knows itself is good for so long.
    pub ttl: Dur,
    /// The control socket's file.
    pub control: PathBuf,
    /// Whose it is, and what happens without him.
    pub keep: Keep,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// This failure; `NoAnswer` if none came.
    Failed(Failure),
    /// Another refusal, in the protocol's word.
    Refused(String),
}

/// The resolvers of this machine.
pub trait Resolvers: Send + Sync {
    /// Asks the one behind this control socket; what it says no to is `Refused`.
    fn ask<'a>(&'a self, control: &'a Path, ask: &'a ResolverAsk) -> Fut<'a, Result<ResolverState, AdapterError>>;
    /// The control sockets of all resolvers of ours that run, whoever started them.
    fn all(&self) -> Vec<PathBuf>;
    /// The control socket's file of an owner's resolver of this name.
    ///
    /// # Errors
    /// When there can be no folder for it.
    fn socket(&self, owner: &Owner, name: &str) -> Result<PathBuf, AdapterError>;
    /// Asks a resolver for a name's addresses of one kind, as any client does, and says how long it took.
    fn resolve<'a>(
        &'a self,
        listen: &'a str,
        name: &'a str,
        like: IpAddr,
        limit: Duration,
    ) -> Fut<'a, Result<(Resolved, Duration), AdapterError>>;
}

/// Those of this machine.
pub(super) struct SystemResolvers;

impl Resolvers for SystemResolvers {
    fn ask<'a>(&'a self, control: &'a Path, ask: &'a ResolverAsk) -> Fut<'a, Result<ResolverState, AdapterError>> {
        Box::pin(async move {
            match super::control::ask(control, ask).await? {
                ResolverSaid::State(state) => Ok(*state),
                ResolverSaid::Error(why) => Err(AdapterError::Refused(format!("the resolver says: {why}"))),
            }
        })
    }

    fn all(&self) -> Vec<PathBuf> {
        super::control::sockets("resolver")
    }

    fn socket(&self, owner: &Owner, name: &str) -> Result<PathBuf, AdapterError> {
        super::control::path(owner, name)
    }

    fn resolve<'a>(
        &'a self,
        listen: &'a str,
        name: &'a str,
        like: IpAddr,
        limit: Duration,
    ) -> Fut<'a, Result<(Resolved, Duration), AdapterError>> {
        Box::pin(async move {
            let began = Clock::System.mono();
            let seen = match tokio::time::timeout(limit, question(listen, name, like)).await {
                Ok(seen) => seen.map_err(|e| AdapterError::Other(format!("asking {listen} for {name}: {e}")))?,
                Err(_) => Resolved::Failed(Failure::NoAnswer),
            };
            Ok((seen, Clock::System.mono().since(began)))
        })
    }
}

/// Asks a resolver for a name's addresses of one kind.
///
/// # Errors
/// When it cannot be asked, or its answer is none.
pub(super) async fn question(listen: &str, name: &str, like: IpAddr) -> std::io::Result<Resolved> {
    let address: SocketAddr = listen.parse().map_err(std::io::Error::other)?;
    let from = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(address).await?;
    let kind = if like.is_ipv6() { RecordType::AAAA } else { RecordType::A };
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).map_err(std::io::Error::other)?, kind));
    socket.send(&message.to_vec().map_err(std::io::Error::other)?).await?;
    let mut bytes = vec![0; 4096];
    let got = socket.recv(&mut bytes).await?;
    let answer = Message::from_vec(&bytes[..got]).map_err(std::io::Error::other)?;
    let addresses = answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(a) => Some(IpAddr::V6(a.0)),
        _ => None,
    });
    Ok(match answer.metadata.response_code {
        ResponseCode::NoError => Resolved::Addresses(addresses.collect()),
        ResponseCode::NXDomain => Resolved::Failed(Failure::Nxdomain),
        ResponseCode::ServFail => Resolved::Failed(Failure::Servfail),
        other => Resolved::Refused(other.to_string()),
    })
}
