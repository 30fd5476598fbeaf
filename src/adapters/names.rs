//! Names to addresses, anew for each connection: as this machine does it, or by asking one resolver. Nothing is kept.

use super::resolver::{Resolved, question};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses of a host, in the order in which they are to be tried.
///
/// # Errors
/// When there are none.
pub(super) async fn look_up(host: &str, port: u16, resolver: Option<&str>) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let Some(resolver) = resolver else {
        return tokio::net::lookup_host((host, port)).await.map(Iterator::collect);
    };
    let ask = |like| question(resolver, host, like);
    let both = futures_util::join!(ask(IpAddr::V4(Ipv4Addr::LOCALHOST)), ask(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    let mut failed = io::Error::other(format!("{host} has no address"));
    let mut addresses = Vec::new();
    for answer in [both.0, both.1] {
        match answer {
            Ok(Resolved::Addresses(found)) => addresses.extend(found),
            Ok(other) => failed = io::Error::other(format!("{host}: {resolver} says {other:?}")),
            Err(error) => failed = error,
        }
    }
    if addresses.is_empty() {
        Err(failed)
    } else {
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }
}
