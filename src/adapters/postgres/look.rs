//! Questions about PostgreSQL, for probes: roles, how many primaries there are, how far standbys are behind. What an answer
//! means is the playbook's business.

use super::position::{self, Behind, Itself, Of, Stream};
use super::server::{NoConnection, Server, Session};
use crate::adapters::AdapterError;
use crate::adapters::systems::{PostgresAsk, Seen};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

const ROLE: &str = "select pg_is_in_recovery(), current_setting('transaction_read_only')";

/// One look.
///
/// # Errors
/// When nobody answers, a URL is wrong, or rights are missing.
pub(in crate::adapters) async fn look(
    urls: &[String],
    ask: PostgresAsk,
    limit: Duration,
) -> Result<Seen, AdapterError> {
    let asked = Asked::parse(urls, limit)?;
    let late = || AdapterError::TimedOut(format!("{}: no answer within {limit:?}", asked.label()));
    timeout(limit, asked.answer(ask)).await.unwrap_or_else(|_| Err(late()))
}

/// Why the question can never be answered there as things are, with what to grant or configure.
pub(in crate::adapters) async fn hindrance(urls: &[String], ask: PostgresAsk, limit: Duration) -> Option<String> {
    let asked = match Asked::parse(urls, limit) {
        Ok(asked) => asked,
        Err(error) => return Some(error.to_string()),
    };
    timeout(limit, asked.hindrance(ask)).await.ok().flatten()
}

fn seen(value: impl ToString) -> Seen {
    Seen { value: value.to_string(), fields: BTreeMap::new() }
}

/// The servers that are asked, and how long one may be silent.
struct Asked {
    /// As the URLs name them: each is one way for clients.
    ways: Vec<Server>,
    /// Each server for itself.
    servers: Vec<Server>,
    /// Of two rounds.
    patience: Duration,
    /// Of one.
    almost_all: Duration,
}

/// A server that answers.
struct Answering<'a> {
    server: &'a Server,
    session: Session,
    is: Itself,
}

/// Why a server does not say where it is.
enum Unanswered {
    /// As things are, it never will: version, login or rights.
    Never(AdapterError),
    /// It may later.
    Now(AdapterError),
}

impl From<Unanswered> for AdapterError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Never(error) | Unanswered::Now(error) => error,
        }
    }
}

/// What a server says of its role.
enum Says {
    /// It is a primary, and takes writes.
    Writable(Session),
    /// It is a primary, and its sessions are read-only.
    ReadOnly,
    /// It is a standby.
    Standby,
    /// Nobody listens there.
    Nobody,
    /// Nobody can tell.
    Silent,
}

impl Asked {
    fn parse(urls: &[String], limit: Duration) -> Result<Self, AdapterError> {
        let ways = urls.iter().map(|url| Server::parse(url)).collect::<Result<Vec<_>, _>>()?;
        let servers = ways.iter().flat_map(Server::each).collect();
        Ok(Self { ways, servers, patience: limit * 2 / 5, almost_all: limit * 9 / 10 })
    }

    fn label(&self) -> String {
        self.ways.iter().map(|way| way.label.as_str()).collect::<Vec<_>>().join(", ")
    }

    async fn answer(&self, ask: PostgresAsk) -> Result<Seen, AdapterError> {
        match ask {
            PostgresAsk::Primaries => Ok(self.primaries().await),
            PostgresAsk::SplitBrain => Ok(self.split_brain().await),
            PostgresAsk::Primary => self.primary().await,
            PostgresAsk::Standbys => self.standbys(|_| true).await,
            PostgresAsk::SyncStandbys => self.standbys(|stream| stream.sync).await,
            PostgresAsk::LagBytes => Ok(bytes(self.furthest(Of::Saved, by_bytes).await?)),
            PostgresAsk::ReplayLagBytes => Ok(bytes(self.furthest(Of::Replayed, by_bytes).await?)),
            PostgresAsk::Lag => Ok(seconds(self.furthest(Of::Saved, by_seconds).await?)),
            PostgresAsk::ReplayLag => Ok(seconds(self.furthest(Of::Replayed, by_seconds).await?)),
            PostgresAsk::Role
            | PostgresAsk::InRecovery
            | PostgresAsk::ReplayPaused
            | PostgresAsk::Timeline
            | PostgresAsk::WalReceiver => self.of_one(ask).await,
        }
    }

    /// What is asked of the one server that clients come to.
    async fn of_one(&self, ask: PostgresAsk) -> Result<Seen, AdapterError> {
        let [server, ..] = &self.ways[..] else { return Err(AdapterError::Other("nobody is asked".to_owned())) };
        let session = server.connect(self.almost_all).await?;
        Ok(match ask {
            PostgresAsk::Timeline => {
                able(server, &session).await?;
                seen(position::timeline(server, &session).await?)
            }
            PostgresAsk::WalReceiver => {
                able(server, &session).await?;
                let receiver = position::receiver(server, &session).await?;
                seen(receiver.map_or_else(|| "none".to_owned(), |(state, _)| state))
            }
            PostgresAsk::ReplayPaused => seen(position::replay_paused(server, &session).await?),
            _ => {
                let is = position::itself(server, &session).await?;
                match (ask, is.in_recovery) {
                    (PostgresAsk::InRecovery, in_recovery) => seen(in_recovery),
                    (_, true) => seen("standby"),
                    (_, false) => seen("primary"),
                }
            }
        })
    }

    /// What each server says of its role, and its place.
    async fn roles(&self) -> Vec<(String, Says)> {
        let each = self.servers.iter().map(|server| async move {
            let says = timeout(self.patience, says(server, self.patience)).await.unwrap_or(Says::Silent);
            (server.at(), says)
        });
        join_all(each).await
    }

    /// Those that were primaries at one and the same moment. A primary becomes a standby only by a restart, which ends its
    /// sessions: one that says so twice in one session was it all the time between. So when several say so, each is asked
    /// again, and what lies between the two rounds is the moment.
    async fn census(&self) -> Census {
        let mut census = Census::default();
        let mut sessions = Vec::new();
        for (at, says) in self.roles().await {
            match says {
                Says::Writable(session) => sessions.push((at, session)),
                Says::ReadOnly => census.read_only.push(at),
                Says::Standby => {}
                Says::Nobody => census.down.push(at),
                Says::Silent => census.silent.push(at),
            }
        }
        if sessions.len() < 2 {
            census.writable = sessions.into_iter().map(|(at, _)| at).collect();
            return census;
        }
        let again = sessions.iter().map(|(at, session)| async move {
            let role = timeout(self.patience, role_of(session)).await;
            (at.clone(), matches!(role, Ok(Some((false, false)))))
        });
        for (at, still) in join_all(again).await {
            if still { census.writable.push(at) } else { census.silent.push(at) }
        }
        census
    }

    async fn primaries(&self) -> Seen {
        let census = self.census().await;
        census.with(seen(census.writable.len()))
    }

    async fn split_brain(&self) -> Seen {
        let census = self.census().await;
        let (sure, perhaps) = (census.writable.len(), census.writable.len() + census.silent.len());
        census.with(match (sure, perhaps) {
            (2.., _) => seen("true"),
            (_, 0 | 1) => seen("false"),
            _ => seen("unknown"),
        })
    }

    async fn primary(&self) -> Result<Seen, AdapterError> {
        let census = self.census().await;
        match &census.writable[..] {
            [at] => Ok(census.with(seen(at))),
            [] => Err(AdapterError::Unreachable(format!("{}: no primary answers", self.label()))),
            several => {
                let text = format!("{}: {} primaries take writes: {}", self.label(), several.len(), several.join(" "));
                Err(AdapterError::Refused(text))
            }
        }
    }

    /// All that answer and are able to say what is asked; an error if none is, or if one never will be.
    async fn answering(&self) -> Result<Vec<Answering<'_>>, Unanswered> {
        let each = self.servers.iter().map(|server| async move {
            timeout(self.almost_all, self.ask(server)).await.unwrap_or_else(|_| {
                let text = format!("{}: no answer within {:?}", server.label, self.almost_all);
                Err(Unanswered::Now(AdapterError::TimedOut(text)))
            })
        });
        let (mut found, mut last) = (Vec::new(), None);
        for answer in join_all(each).await {
            match answer {
                Ok(server) => found.push(server),
                // What is missing on one is not hidden by another that has it.
                Err(never @ Unanswered::Never(_)) => return Err(never),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    async fn ask<'s>(&self, server: &'s Server) -> Result<Answering<'s>, Unanswered> {
        let session = server.knock(self.almost_all).await.map_err(|none| match none {
            NoConnection::Denied(error) => Unanswered::Never(error),
            other => Unanswered::Now(other.into_error()),
        })?;
        able(server, &session).await?;
        let is = position::itself(server, &session).await.map_err(Unanswered::Now)?;
        Ok(Answering { server, session, is })
    }

    async fn standbys(&self, counted: impl Fn(&Stream) -> bool) -> Result<Seen, AdapterError> {
        let all = self.answering().await?;
        let asked = all.iter().find(|server| !server.is.in_recovery).or(all.first());
        let asked = asked.ok_or_else(|| AdapterError::Other("nobody is asked".to_owned()))?;
        let streams = position::streams(asked.server, &asked.session, &asked.is).await?;
        let names: Vec<String> = streams.iter().filter(|stream| counted(stream)).map(|s| s.name.clone()).collect();
        let mut seen = seen(names.len());
        seen.fields.insert("names".to_owned(), names.join(" "));
        Ok(seen)
    }

    /// The standby that is furthest behind. What it has saved its primary knows, if it streams; what it has replayed it
    /// knows itself, while its primary hears of it only now and then. Without a primary it is what it last heard from there.
    async fn furthest(&self, of: Of, measure: fn(&Behind) -> f64) -> Result<Behind, AdapterError> {
        let all = self.answering().await?;
        let (primaries, standbys): (Vec<_>, Vec<_>) = all.iter().partition(|server| !server.is.in_recovery);
        let mut found = Vec::new();
        if let Some(primary) = primaries.first() {
            let streams = position::streams(primary.server, &primary.session, &primary.is).await?;
            let themselves = of == Of::Replayed || streams.len() < standbys.len();
            if standbys.is_empty() || of == Of::Saved {
                found.extend(streams.iter().map(|stream| stream.behind(of)));
            }
            if themselves {
                // Asked last: a standby is never said to be further than it was.
                let end = position::itself(primary.server, &primary.session).await?.saved;
                found.extend(standbys.iter().map(|standby| standby.is.behind(of, end, &standby.server.at())));
            }
        } else {
            for standby in standbys {
                found.push(alone(standby, of).await?);
            }
        }
        let furthest = found.into_iter().max_by(|a, b| measure(a).total_cmp(&measure(b)));
        furthest.ok_or_else(|| AdapterError::Refused(format!("{}: no standby streams from it", self.label())))
    }

    /// Version, login, rights, and whether anything is replicated. What time may change (a server that is silent) is none.
    async fn hindrance(&self, ask: PostgresAsk) -> Option<String> {
        let needs_rights = ask.needs_standby() || matches!(ask, PostgresAsk::Timeline | PostgresAsk::WalReceiver);
        if !needs_rights {
            return None;
        }
        let all = match self.answering().await {
            Ok(all) => all,
            Err(Unanswered::Never(error)) => return Some(error.to_string()),
            Err(Unanswered::Now(_)) => return None,
        };
        if !ask.needs_standby() || all.iter().any(|server| server.is.in_recovery) {
            return None;
        }
        for server in &all {
            let streams = position::streams(server.server, &server.session, &server.is).await;
            if streams.map_or(true, |streams| !streams.is_empty()) {
                return None;
            }
        }
        let label = self.label();
        Some(format!(
            "{label}: it is not replicated: no standby streams from it (pg_stat_replication has none). Set one up with \
             `pg_basebackup -R`, a role with REPLICATION, and a line for it in pg_hba.conf"
        ))
    }
}

/// An error that says what is missing, if anything is.
async fn able(server: &Server, session: &Session) -> Result<(), Unanswered> {
    match position::missing(server, session).await {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(Unanswered::Never(AdapterError::Refused(why))),
        Err(error) => Err(Unanswered::Now(error)),
    }
}

/// Who is what.
#[derive(Default)]
struct Census {
    writable: Vec<String>,
    read_only: Vec<String>,
    silent: Vec<String>,
    down: Vec<String>,
}

impl Census {
    fn with(&self, mut seen: Seen) -> Seen {
        let all =
            [("names", &self.writable), ("read_only", &self.read_only), ("silent", &self.silent), ("down", &self.down)];
        seen.fields.extend(all.map(|(name, places)| (name.to_owned(), places.join(" "))));
        seen
    }
}

/// Of a standby whose primary is not asked: compared with what it last heard from where it streams from.
async fn alone(standby: &Answering<'_>, of: Of) -> Result<Behind, AdapterError> {
    let at = standby.server.at();
    let receiver = position::receiver(standby.server, &standby.session).await?;
    let (state, end) = receiver.unwrap_or_default();
    if state != "streaming" {
        let why =
            format!("{}: it receives no WAL, so only its primary could say how far behind it is", standby.server.label);
        return Err(AdapterError::Refused(why));
    }
    Ok(standby.is.behind(of, end, &at))
}

async fn says(server: &Server, limit: Duration) -> Says {
    let session = match server.knock(limit).await {
        Ok(session) => session,
        Err(NoConnection::Nobody(_)) => return Says::Nobody,
        Err(NoConnection::Denied(_) | NoConnection::Unclear(_)) => return Says::Silent,
    };
    match role_of(&session).await {
        Some((true, _)) => Says::Standby,
        Some((false, true)) => Says::ReadOnly,
        Some((false, false)) => Says::Writable(session),
        None => Says::Silent,
    }
}

/// In recovery, and read-only; none if it does not say.
async fn role_of(session: &Session) -> Option<(bool, bool)> {
    let answer = session.client.simple_query(ROLE).await.ok()?;
    answer.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some((row.get(0)? == "t", row.get(1)? == "on")),
        _ => None,
    })
}

fn by_bytes(behind: &Behind) -> f64 {
    behind.bytes as f64
}

fn by_seconds(behind: &Behind) -> f64 {
    behind.seconds
}

fn bytes(behind: Behind) -> Seen {
    let mut seen = seen(behind.bytes);
    seen.fields.insert("standby".to_owned(), behind.name);
    seen.fields.insert("seconds".to_owned(), format!("{:.3}", behind.seconds));
    seen
}

fn seconds(behind: Behind) -> Seen {
    let mut seen = seen(format!("{:.3}", behind.seconds));
    seen.fields.insert("standby".to_owned(), behind.name);
    seen.fields.insert("bytes".to_owned(), behind.bytes.to_string());
    seen
}
