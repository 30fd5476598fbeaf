//! Kubernetes: the client against a double of the API server and against a real one, faults, probes and restores on both,
//! drills against the real one with a real service behind them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "data/again.rs"]
mod again;
#[path = "kubernetes/against.rs"]
mod against;
#[path = "kubernetes/api.rs"]
mod api;
#[path = "data/common.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod common;
#[path = "kubernetes/config.rs"]
mod config;
#[path = "kubernetes/conforms.rs"]
mod conforms;
#[path = "kubernetes/contract.rs"]
mod contract;
#[path = "kubernetes/control_plane.rs"]
mod control_plane;
#[path = "kubernetes/core.rs"]
mod core_tests;
#[path = "kubernetes/double/mod.rs"]
mod double;
#[path = "kubernetes/double_tests.rs"]
mod double_tests;
#[path = "kubernetes/drills.rs"]
mod drills;
#[path = "kubernetes/edges.rs"]
mod edges;
#[path = "kubernetes/failing.rs"]
mod failing;
#[path = "kubernetes/inside.rs"]
mod inside;
#[path = "kubernetes/manifests.rs"]
mod manifests;
#[path = "kubernetes/node/mod.rs"]
mod node;
#[path = "kubernetes/nodes.rs"]
mod nodes;
#[path = "truth/ports.rs"]
mod ports;
#[path = "kubernetes/probes.rs"]
mod probes;
#[path = "kubernetes/processes.rs"]
mod processes;
#[path = "kubernetes/prometheus.rs"]
mod prometheus;
#[path = "kubernetes/real.rs"]
mod real;
#[path = "kubernetes/real_probes.rs"]
mod real_probes;
#[path = "kubernetes/restores.rs"]
mod restores;
#[path = "kubernetes/router.rs"]
mod router;
#[path = "kubernetes/scene.rs"]
mod scene;
#[path = "kubernetes/scripted.rs"]
mod scripted;
#[path = "cli/support.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod support;
#[path = "kubernetes/vantages.rs"]
mod vantages;
#[path = "kubernetes/velero.rs"]
mod velero;
#[path = "kubernetes/workloads.rs"]
mod workloads;
