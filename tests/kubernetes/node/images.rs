//! Images, of which there are none: whether one can be pulled.

use super::Node;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(2);

/// Pulls an image to a node, if its policy asks for it: why it cannot be. One whose name contains `.invalid` is
/// nowhere; one of a registry of this machine (`127.0.0.1:PORT/name`) is there while something listens at that port.
pub async fn pull(node: &Node, image: &str, policy: &str) -> Result<(), String> {
    let there = node.images.lock().unwrap().iter().any(|pulled| pulled == image);
    if there && policy != "Always" {
        return Ok(());
    }
    if !there && policy == "Never" {
        return Err(format!("Container image {image:?} is not present with pull policy of Never"));
    }
    let failed = |why: &str| Err(format!("Failed to pull image {image:?}: {why}"));
    if image.contains(".invalid") {
        return failed("no such host");
    }
    let registry = image.split('/').next().unwrap_or_default();
    if registry.starts_with("127.0.0.1:") && !matches!(timeout(LIMIT, TcpStream::connect(registry)).await, Ok(Ok(_))) {
        return failed("the registry does not answer");
    }
    if !there {
        node.images.lock().unwrap().push(image.to_owned());
    }
    Ok(())
}
