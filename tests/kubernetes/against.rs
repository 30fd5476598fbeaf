//! The contract of the client (`contract`) held to a real control plane with a node of the double; or to a cluster that is
//! given: `BLACKSTART_TEST_CLUSTER=given KUBECONFIG=… cargo test --test kubernetes against::`.

use crate::contract::{API, NODES, hold, nobody, reading};
use crate::control_plane::{ControlPlane, given};
use crate::node::{Nodes, Place};
use blackstart::adapters::kubernetes::{Access, ClusterError, system};
use std::path::Path;
use tokio::runtime::Runtime;

async fn holds(kubeconfig: &Path) {
    let access = Access { kubeconfig: Some(kubeconfig.to_owned()), context: None };
    let cluster = system().open(&access).await.unwrap();
    hold(cluster.as_ref(), API).await;
    hold(cluster.as_ref(), NODES).await;
    let folder = tempfile::tempdir().unwrap();
    reading::forbidden(nobody(kubeconfig, folder.path()).await.as_ref(), "default").await;
}

/// A login that the cluster does not know, and one whose server is away.
async fn refused(plane: &mut ControlPlane) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong");
    let text = std::fs::read_to_string(plane.kubeconfig()).unwrap();
    let mut config: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    config["users"][0]["user"] = serde_json::json!({ "token": "hunter2" });
    std::fs::write(&path, config.to_string()).unwrap();
    let open = async || system().open(&Access { kubeconfig: Some(path.clone()), context: None }).await.err().unwrap();
    let unknown = open().await;
    assert!(matches!(unknown, ClusterError::Forbidden(_)), "{unknown:?}");
    plane.stop_api();
    let away = open().await;
    assert!(matches!(away, ClusterError::Unreachable(_)), "{away:?}");
    assert!(![unknown, away].iter().any(|error| error.to_string().contains("hunter2")));
}

#[test]
fn the_contract_holds_for_a_real_control_plane() {
    let runtime = Runtime::new().unwrap();
    if let Some(kubeconfig) = given() {
        return runtime.block_on(holds(&kubeconfig));
    }
    let mut plane = ControlPlane::start();
    let nodes = Nodes::start(&plane, &Place::over("here", &["zone-a"], 1));
    runtime.block_on(holds(&plane.kubeconfig()));
    drop(nodes);
    runtime.block_on(refused(&mut plane));
}
