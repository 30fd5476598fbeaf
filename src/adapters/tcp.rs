//! TCP ports: connects and closes, nothing else.

use super::{AdapterError, Fut, Tcp};
use std::time::Duration;
use tokio::net::TcpStream;

/// The TCP ports that this machine reaches.
pub(super) struct SystemTcp;

impl Tcp for SystemTcp {
    fn connect<'a>(&'a self, address: &'a str, timeout: Duration) -> Fut<'a, Result<(), AdapterError>> {
        Box::pin(async move {
            match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
                Ok(Ok(_stream)) => Ok(()),
                Ok(Err(e)) => Err(AdapterError::Unreachable(format!("{address}: {e}"))),
                Err(_) => Err(AdapterError::TimedOut(format!("{address}: no answer within {timeout:?}"))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_port_a_closed_one_and_nonsense() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let limit = Duration::from_secs(30);
        assert_eq!(SystemTcp.connect(&address, limit).await, Ok(()));
        drop(listener);
        assert!(matches!(SystemTcp.connect(&address, limit).await, Err(AdapterError::Unreachable(_))));
        assert!(matches!(SystemTcp.connect("no port", limit).await, Err(AdapterError::Unreachable(_))));
    }
}
