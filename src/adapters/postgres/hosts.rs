//! The servers of one URL, each for itself: `postgresql://user@h1:5432,h2:5433/db` names two. Pure; connecting is in
//! `server`.

use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// One server of a URL.
#[derive(Clone)]
pub(super) struct One {
    /// How to connect to it, and to no other.
    pub(super) config: Config,
    /// `127.0.0.1:5432`.
    pub(super) at: String,
}

/// Each server, in the order of the URL.
pub(super) fn each(config: &Config) -> Vec<One> {
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    (0..count).map(|index| one(config, index)).collect()
}

/// A configuration cannot lose a host that it has, so another one is made.
fn one(all: &Config, index: usize) -> One {
    let mut config = Config::new();
    let port = all.get_ports().get(index).or(all.get_ports().first()).copied().unwrap_or(5432);
    config.port(port);
    let mut at = String::new();
    match all.get_hosts().get(index) {
        Some(Host::Tcp(name)) => {
            config.host(name);
            at = if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
        }
        Some(Host::Unix(path)) => {
            config.host_path(path);
            at = format!("{}:{port}", path.display());
        }
        None => {}
    }
    if let Some(address) = all.get_hostaddrs().get(index) {
        config.hostaddr(*address);
        at = if at.is_empty() { format!("{address}:{port}") } else { at };
    }
    copy_login(all, &mut config);
    copy_manners(all, &mut config);
    One { config, at }
}

fn copy_login(all: &Config, config: &mut Config) {
    all.get_user().into_iter().for_each(|user| {
        config.user(user);
    });
    all.get_password().into_iter().for_each(|password| {
        config.password(password);
    });
    all.get_dbname().into_iter().for_each(|name| {
        config.dbname(name);
    });
    all.get_options().into_iter().for_each(|options| {
        config.options(options);
    });
    all.get_application_name().into_iter().for_each(|name| {
        config.application_name(name);
    });
}

fn copy_manners(all: &Config, config: &mut Config) {
    config.ssl_mode(all.get_ssl_mode());
    config.ssl_negotiation(all.get_ssl_negotiation());
    config.target_session_attrs(all.get_target_session_attrs());
    config.channel_binding(all.get_channel_binding());
    config.keepalives(all.get_keepalives());
    config.keepalives_idle(all.get_keepalives_idle());
    all.get_keepalives_interval().into_iter().for_each(|interval| {
        config.keepalives_interval(interval);
    });
    all.get_keepalives_retries().into_iter().for_each(|retries| {
        config.keepalives_retries(retries);
    });
    all.get_connect_timeout().into_iter().for_each(|limit| {
        config.connect_timeout(*limit);
    });
    all.get_tcp_user_timeout().into_iter().for_each(|limit| {
        config.tcp_user_timeout(*limit);
    });
}

/// How long to try the next server, if so many are left within `left`: as the URL says, else an equal share, so that one
/// that is silent does not use up the time of those behind it.
pub(super) fn patience(config: &Config, left: Duration, servers: usize) -> Duration {
    let share = left / u32::try_from(servers.max(1)).unwrap_or(u32::MAX);
    config.get_connect_timeout().copied().filter(|limit| !limit.is_zero()).map_or(share, |limit| limit.min(left))
}

/// libpq's words for the session that is wanted, as those that tokio-postgres knows: a session on a primary takes writes, one
/// on a standby does not.
pub(super) fn session_wanted(pair: &str) -> String {
    match pair {
        "target_session_attrs=primary" => "target_session_attrs=read-write".to_owned(),
        "target_session_attrs=standby" => "target_session_attrs=read-only".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::TargetSessionAttrs;

    #[test]
    fn each_server_of_a_url_is_one_and_has_all_the_rest() {
        let url = "postgresql://app:pw@h1:5433,[::1]:5434,h3/db?target_session_attrs=read-write&connect_timeout=2\
                   &options=-c%20statement_timeout%3D3s&application_name=x";
        let all: Config = url.replace(' ', "").parse().unwrap();
        let each = each(&all);
        let places: Vec<&str> = each.iter().map(|one| one.at.as_str()).collect();
        assert_eq!(places, ["h1:5433", "[::1]:5434", "h3:5432"]);
        for one in &each {
            let config = &one.config;
            assert_eq!((config.get_hosts().len(), config.get_ports().len()), (1, 1));
            assert_eq!((config.get_user(), config.get_password()), (Some("app"), Some(&b"pw"[..])));
            assert_eq!(config.get_dbname(), Some("db"));
            assert_eq!(config.get_options(), Some("-c statement_timeout=3s"));
            assert_eq!(config.get_application_name(), Some("x"));
            assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(2)));
        }
    }

    #[test]
    fn a_silent_server_gets_its_share_of_the_time_and_no_more() {
        let (plain, hasty): (Config, Config) =
            ("postgresql://h/d".parse().unwrap(), "postgresql://h/d?connect_timeout=1".parse().unwrap());
        let left = Duration::from_secs(6);
        assert_eq!(patience(&plain, left, 3), Duration::from_secs(2));
        assert_eq!(patience(&hasty, left, 3), Duration::from_secs(1));
        assert_eq!(patience(&hasty, Duration::from_millis(300), 1), Duration::from_millis(300));
    }
}
