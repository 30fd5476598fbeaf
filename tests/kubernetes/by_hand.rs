//! A cluster to try things on by hand: a control plane, nodes in three zones, and one line for each Service that is to
//! be led to. It is up until its input ends or it is interrupted, and leaves nothing behind.
//!
//!     cargo test --test kubernetes_by_hand -- KUBECONFIG [NODES] [NAMESPACE/SERVICE]...
//!
//! writes the administrator's kubeconfig to the file KUBECONFIG; six nodes if nothing else is said. The Services may be
//! made later; where each is led to is printed.

#![expect(clippy::unwrap_used, dead_code, reason = "it says where it cannot go on, and needs less than the tests do")]

#[path = "api.rs"]
mod api;
#[path = "../data/common.rs"]
mod common;
#[path = "control_plane.rs"]
mod control_plane;
#[path = "node/mod.rs"]
mod node;
#[path = "../truth/ports.rs"]
mod ports;
#[path = "processes.rs"]
mod processes;
#[path = "router.rs"]
mod router;

fn main() {
    let mut args = std::env::args().skip(1);
    let file = args.next().expect("a file for the kubeconfig");
    let count = args.next().map_or(6, |count| count.parse().expect("a number of nodes"));
    let begun = std::time::Instant::now();
    let plane = control_plane::ControlPlane::start();
    let _nodes = node::Nodes::start(&plane, &node::Place::over("here", &["zone-a", "zone-b", "zone-c"], count));
    std::fs::copy(plane.kubeconfig(), &file).unwrap();
    println!("up after {:?}: export KUBECONFIG={file}", begun.elapsed());
    let lead = |name: String| {
        let (namespace, service) = name.split_once('/').expect("NAMESPACE/SERVICE");
        let router = router::Router::of(&plane, namespace, service, None);
        println!("{name}: {}", router.url());
        router
    };
    let _routers: Vec<router::Router> = args.map(lead).collect();
    println!("until the end of the input");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}
