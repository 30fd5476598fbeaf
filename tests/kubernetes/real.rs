//! That what stands around the tests is what it says: pods run on the nodes of the double under the real control plane,
//! are reached, moved, evicted and lost as in a cluster; and the router and the front lead where they should.

use crate::api::wait;
use crate::common::{output, scripts};
use crate::control_plane::{ControlPlane, Options};
use crate::node::{Link, Nodes, Place};
use crate::router::{Front, Router};
use blackstart::adapters::kubernetes::{Access, Inside, system};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// Looks again and again until it holds, on a machine that has ten times as much to do as it can.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// A control plane, three nodes in three zones, and the shop on them.
struct Shop {
    plane: ControlPlane,
    nodes: Nodes,
}

impl Shop {
    fn open() -> Self {
        let plane = ControlPlane::started(Options { grace: 8, tolerate: 2 });
        let nodes = Nodes::start(&plane, &Place::over("here", &ZONES, 3));
        let mut up = Command::new(scripts().join("kubernetes/up.sh"));
        output(up.args(["--namespace", "shop"]).env("KUBECONFIG", plane.kubeconfig()).env("HOME", plane.folder()));
        Self { plane, nodes }
    }

    fn kubectl(&self, args: &[&str]) -> String {
        self.plane.kubectl(&[&["-n", "shop"], args].concat())
    }

    /// Pods that are ready and stay, with their nodes.
    fn ready(&self) -> Vec<(String, String)> {
        let said: Value =
            serde_json::from_str(&self.kubectl(&["get", "pods", "-l", "app=shop", "-o", "json"])).unwrap();
        let text = |pod: &Value, path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let ready = |pod: &Value| holds(pod, "Ready") && pod["metadata"]["deletionTimestamp"].is_null();
        let pods = said["items"].as_array().cloned().unwrap_or_default();
        pods.iter()
            .filter(|pod| ready(pod))
            .map(|pod| (text(pod, "/metadata/name"), text(pod, "/spec/nodeName")))
            .collect()
    }
}

/// Does an object's condition say yes?
fn holds(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|one| one["type"] == condition && one["status"] == "True")
}

/// The status and the body of a page; status 0 if nobody answers.
fn page(port: u16, path: &str) -> (u16, String) {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<String, std::io::Error>(answer)
    };
    let answer = ask().unwrap_or_default();
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned()).unwrap_or_default())
}

#[test]
fn pods_run_on_nodes_and_are_reached_moved_evicted_and_lost_as_in_a_cluster() {
    let mut shop = Shop::open();
    let router = Router::of(&shop.plane, "shop", "shop", None);
    until("the router leads to three pods", || router.ready().len() == 3);
    let nodes: BTreeSet<String> = shop.ready().into_iter().map(|(_, node)| node).collect();
    assert_eq!(nodes, shop.nodes.names().into_iter().collect());
    visits(&router);
    inside(&shop);
    forwarded(&shop);
    replaced(&shop, &router);
    budget(&shop);
    images_and_jobs(&shop);
    nodes_lost(&shop, &router);
    shop.plane.stop_api();
    assert_eq!(page(router.port, "/").0, 200, "without its API the cluster serves on");
    shop.plane.start_api();
    until("the nodes are heard again", || shop.ready().len() == 3);
}

fn visits(router: &Router) {
    let said: BTreeSet<String> = (0..6).map(|_| page(router.port, "/").1).collect();
    assert_eq!(said.len(), 3, "each of the three pods answers: {said:?}");
    assert!(said.iter().all(|text| text.starts_with("welcome from shop-")), "{said:?}");
}

/// Exec, logs, and what a container sees.
fn inside(shop: &Shop) {
    let pod = &shop.ready()[0].0;
    let exec = |words: &[&str]| shop.plane.kubectl_says(&[&["-n", "shop", "exec", pod, "--"], words].concat());
    let done =
        exec(&["sh", "-c", "hostname; echo $$ $POD_NAME; ls /var/run/secrets/kubernetes.io/serviceaccount; exit 3"]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], pod, "its host name is its own: {text} {}", String::from_utf8_lossy(&done.stderr));
    assert!(
        lines[1].ends_with(pod.as_str()) && lines[1].split(' ').next().unwrap().parse::<u32>().unwrap() < 1000,
        "{text}"
    );
    assert_eq!(lines[2..], ["ca.crt", "namespace", "token"]);
    assert_eq!(done.status.code(), Some(3), "the code of the program");
    let piped = shop.plane.kubectl_says(&["-n", "shop", "exec", pod, "--", "cat", "/proc/1/comm"]);
    assert_eq!(String::from_utf8_lossy(&piped.stdout).trim(), "python3", "its command is its first process");
}

/// The product's own client reaches a port of a pod through the API server.
fn forwarded(shop: &Shop) {
    let pod = shop.ready().remove(0).0;
    let access = Access { kubeconfig: Some(shop.plane.kubeconfig()), context: None };
    let said = wait(async {
        let cluster = system().open(&access).await.unwrap();
        let inside = Inside { namespace: "shop".to_owned(), pod, container: None };
        let mut stream = cluster.connect(&inside, 8080, Duration::from_secs(10)).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut said = String::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut said)).await.unwrap().unwrap();
        said
    });
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("welcome from shop-"), "{said}");
}

/// A pod that is deleted ends with grace, and another one comes.
fn replaced(shop: &Shop, router: &Router) {
    let old = shop.ready().remove(0).0;
    shop.kubectl(&["delete", "pod", &old]);
    assert!(!shop.kubectl(&["get", "pods"]).contains(&old), "kubectl waits until it is gone");
    until("another one is ready", || shop.ready().len() == 3 && router.ready().len() == 3);
    visits(router);
}

/// The budget says two at least: one may go, not the second at the same time.
fn budget(shop: &Shop) {
    let nodes: Vec<String> = shop.ready().into_iter().map(|(_, node)| node).collect();
    let budget = "/apis/policy/v1beta1/namespaces/shop/poddisruptionbudgets/shop";
    until("the budget allows one", || shop.plane.get(budget)["status"]["disruptionsAllowed"] == 1);
    // Both are cordoned first: what is evicted finds room only on the third.
    shop.kubectl(&["cordon", &nodes[0], &nodes[1]]);
    shop.kubectl(&["drain", &nodes[0], "--ignore-daemonsets", "--timeout=60s"]);
    shop.kubectl(&["drain", &nodes[1], "--ignore-daemonsets", "--timeout=60s"]);
    until("all have moved to the third", || shop.ready().iter().filter(|(_, node)| *node == nodes[2]).count() == 3);
    shop.kubectl(&["patch", "pdb", "shop", "--type=merge", "-p", r#"{"spec":{"minAvailable":3}}"#]);
    until("the budget allows none", || shop.plane.get(budget)["status"]["disruptionsAllowed"] == 0);
    let refused = shop.plane.kubectl_says(&["drain", &nodes[2], "--ignore-daemonsets", "--timeout=1s"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("disruption budget"), "{refused:?}");
    shop.kubectl(&["uncordon", &nodes[0], &nodes[1], &nodes[2]]);
    shop.kubectl(&["patch", "pdb", "shop", "--type=merge", "-p", r#"{"spec":{"minAvailable":2}}"#]);
    assert_eq!(shop.ready().len(), 3);
}

/// A Job runs to its end, speaks to the API as its account, and one with a bad image never starts.
fn images_and_jobs(shop: &Shop) {
    shop.plane.apply(JOBS);
    shop.kubectl(&["wait", "--for=condition=complete", "job/speaks", "--timeout=60s"]);
    assert_eq!(shop.kubectl(&["logs", "job/speaks"]).trim(), "403 configured root=0");
    shop.kubectl(&["wait", "--for=condition=failed", "job/fails", "--timeout=60s"]);
    let never = "/api/v1/namespaces/shop/pods?labelSelector=job-name%3Dnever";
    let reason = "/items/0/status/containerStatuses/0/state/waiting/reason";
    until("its image cannot be pulled", || {
        shop.plane.get(never).pointer(reason).is_some_and(|reason| reason == "ImagePullBackOff")
    });
    let account = shop.plane.account("shop", "default");
    let may = Command::new("kubectl")
        .args(["auth", "can-i", "list", "pods", "-n", "shop", "--kubeconfig"])
        .arg(account)
        .output();
    assert_eq!(String::from_utf8_lossy(&may.unwrap().stdout).trim(), "no");
    shop.kubectl(&["delete", "job", "--all"]);
}

/// Nodes that say nothing, cut off or without power, are found out, and their pods are replaced; when they are back, what
/// was left on them ends.
fn nodes_lost(shop: &Shop, router: &Router) {
    shop.kubectl(&["rollout", "restart", "deployment/shop"]);
    shop.kubectl(&["rollout", "status", "deployment/shop", "--timeout=60s"]);
    let (pod, node) = shop.ready().remove(0);
    let other = shop.nodes.names().into_iter().find(|name| *name != node).unwrap();
    shop.nodes.lose(&node, Link::CutOff);
    shop.nodes.lose(&other, Link::Dead);
    until("their pods are replaced", || {
        let ready = shop.ready();
        ready.len() == 3 && ready.iter().all(|(_, on)| ![&node, &other].contains(&on))
    });
    let left = format!("/api/v1/namespaces/shop/pods/{pod}");
    assert!(shop.plane.get(&left)["metadata"]["deletionTimestamp"].is_string(), "nobody knows whether it has ended");
    until("the router leads to the new ones", || router.ready().len() == 3);
    visits(router);
    shop.nodes.back(&node);
    shop.nodes.back(&other);
    until("what was left has ended", || shop.plane.get(&left).is_null());
    for name in [&node, &other] {
        let object = || shop.plane.get(&format!("/api/v1/nodes/{name}"));
        until("it is ready again", || holds(&object(), "Ready"));
    }
}

const JOBS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: words, namespace: shop}
data: {word: configured}
---
apiVersion: batch/v1
kind: Job
metadata: {name: speaks, namespace: shop}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      initContainers:
        - name: before
          image: tools
          command: [sh, -c, "id -u >/shared/user"]
          volumeMounts: [{name: shared, mountPath: /shared}]
      containers:
        - name: main
          image: tools
          securityContext: {runAsUser: 65534}
          command:
            - sh
            - -c
            - |
              cd /var/run/secrets/kubernetes.io/serviceaccount
              status=$(curl -s -o /dev/null -w '%{http_code}' --cacert ca.crt -H "Authorization: Bearer $(cat token)" \
                "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/$(cat namespace)/pods")
              echo "$status $(cat /etc/words/word) root=$(cat /shared/user)"
              [ "$(id -u)" = 65534 ] && ! touch /etc/words/word 2>/dev/null
          volumeMounts: [{name: words, mountPath: /etc/words}, {name: shared, mountPath: /shared}]
      volumes:
        - {name: words, configMap: {name: words}}
        - {name: shared, emptyDir: {}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: fails, namespace: shop}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: tools, command: [sh, -c, exit 7]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: never, namespace: shop}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: registry.invalid/tools, command: ["true"]}]
"#;

/// A site that answers with its name, healthy or not.
fn site(name: &'static str) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, healthy) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(true)));
    let inside = Arc::clone(&healthy);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 512];
            let count = stream.read(&mut asked).unwrap_or_default();
            let bad = asked[..count].starts_with(b"GET /health") && !inside.load(Ordering::SeqCst);
            let status = if bad { "503 no" } else { "200 OK" };
            let _gone = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}",
                name.len()
            );
        }
    });
    (port, healthy)
}

#[test]
fn a_front_leads_to_the_first_site_that_is_healthy() {
    let ((east, east_is_well), (west, _)) = (site("east"), site("west"));
    let front = Front::over(&[east, west], "/health");
    until("the first is led to", || page(front.port, "/") == (200, "east".to_owned()));
    east_is_well.store(false, Ordering::SeqCst);
    until("the second is led to", || page(front.port, "/") == (200, "west".to_owned()));
    east_is_well.store(true, Ordering::SeqCst);
    until("the first is led to again", || page(front.port, "/") == (200, "east".to_owned()));
    assert!(front.url().ends_with(&front.port.to_string()));
}
