//! What is done inside pods that run: programs, logs, ports.

use super::*;
use blackstart::adapters::kubernetes::Inside;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const IMAGE: &str = "docker.io/library/python:3.12-slim";
const PORT: u16 = 18_790;
/// Says three lines, and then everything louder that it is told at its port.
const PROGRAM: &str = "
import os, socket, sys, threading
for line in ('one', 'two', 'three'):
    print(line, flush=True)
def talk(peer):
    while data := peer.recv(4096):
        peer.sendall(data.upper())
    peer.close()
def serve(host):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, int(os.environ['PORT'])))
    except OSError:
        return
    server.listen()
    while True:
        threading.Thread(target=talk, args=(server.accept()[0],)).start()
threading.Thread(target=serve, args=(os.environ['POD_IP'],)).start()
serve('127.0.0.1')
";

fn at(namespace: &str, name: &str) -> Inside {
    Inside { namespace: namespace.to_owned(), pod: name.to_owned(), container: None }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A pod that runs the program; or only says the three lines and ends.
async fn pod(cluster: &dyn Cluster, namespace: &str, name: &str, program: &str, ends: &str) -> Inside {
    let address = json!({ "fieldRef": { "fieldPath": "status.podIP" } });
    let object = json!({ "metadata": { "name": name }, "spec": {
        "terminationGracePeriodSeconds": 1,
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "containers": [{
            "name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["python3", "-c", program],
            "env": [{ "name": "POD_IP", "valueFrom": address }, { "name": "PORT", "value": PORT.to_string() }]
        }]
    } });
    let pods = kind("pod");
    until("the namespace takes pods", async || {
        !matches!(cluster.create(&pods, Some(namespace), &object, Write::Real).await, Err(ClusterError::Forbidden(_)))
    })
    .await;
    let at_pod = pods.at(Some(namespace), name);
    until("the pod runs", async || read(cluster, &at_pod).await.text("/status/phase") == ends).await;
    at(namespace, name)
}

pub async fn programs(cluster: &dyn Cluster, namespace: &str) {
    let inside = pod(cluster, namespace, "one", PROGRAM, "Running").await;
    let run = async |argv: &[&str]| cluster.exec(&inside, &words(argv), SOON).await.unwrap();
    let said = run(&["sh", "-c", "echo \"out $0\"; echo err >&2; exit 3", "a b&c"]).await;
    assert_eq!((said.status, said.stdout.as_str(), said.stderr.as_str()), (Some(3), "out a b&c\n", "err\n"));
    assert_eq!(run(&["true"]).await.status, Some(0));
    let killed = run(&["sh", "-c", "kill -9 $$"]).await;
    assert_eq!(killed.status, Some(137));
    let much = run(&["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2"]).await;
    assert_eq!((much.status, much.stdout.len(), much.stderr.as_str()), (Some(0), 1 << 20, "end\n"));
    let named = Inside { container: Some("main".to_owned()), ..inside.clone() };
    assert_eq!(cluster.exec(&named, &words(&["true"]), SOON).await.unwrap().status, Some(0));
}

pub async fn programs_that_cannot_be_run(cluster: &dyn Cluster, namespace: &str) {
    let inside = pod(cluster, namespace, "one", PROGRAM, "Running").await;
    let none = cluster.exec(&at(namespace, "none"), &words(&["true"]), SOON).await;
    assert!(matches!(none, Err(ClusterError::Missing(_))), "{none:?}");
    let other = Inside { container: Some("other".to_owned()), ..inside.clone() };
    let none = cluster.exec(&other, &words(&["true"]), SOON).await;
    assert!(matches!(none, Err(ClusterError::Invalid(_))), "{none:?}");
    let none = cluster.exec(&inside, &words(&["/no/such/program"]), SOON).await;
    assert!(!matches!(&none, Ok(said) if said.status == Some(0)), "{none:?}");
    let long = cluster.exec(&inside, &words(&["sleep", "60"]), Duration::from_millis(500)).await;
    assert!(matches!(long, Err(ClusterError::TimedOut(_))), "{long:?}");
    let strange = cluster.exec(&at(namespace, "../one"), &words(&["true"]), SOON).await;
    assert!(matches!(strange, Err(ClusterError::Invalid(_))), "{strange:?}");
}

pub async fn logs(cluster: &dyn Cluster, namespace: &str) {
    let short = "print('one'); print(); print('three', end='')";
    let ended = pod(cluster, namespace, "ended", short, "Succeeded").await;
    let lines = async |inside: &Inside, most: usize, limit: Duration| {
        let mut lines = Vec::new();
        let mut each = |line: &str| {
            lines.push(line.to_owned());
            if lines.len() == most { Flow::Enough } else { Flow::On }
        };
        cluster.logs(inside, limit, &mut each).await.map(|()| lines)
    };
    assert_eq!(lines(&ended, 9, SOON).await.unwrap(), ["one", "", "three"], "to its end");
    let runs = pod(cluster, namespace, "runs", PROGRAM, "Running").await;
    assert_eq!(lines(&runs, 2, SOON).await.unwrap(), ["one", "two"], "until it is enough");
    let waited = lines(&runs, 9, Duration::from_secs(2)).await.unwrap();
    assert_eq!(waited, ["one", "two", "three"], "until the limit");
    let none = lines(&at(namespace, "none"), 1, SOON).await;
    assert!(matches!(none, Err(ClusterError::Missing(_))), "{none:?}");
}

pub async fn ports(cluster: &dyn Cluster, namespace: &str) {
    let inside = pod(cluster, namespace, "one", PROGRAM, "Running").await;
    let talk = async || {
        let mut stream = cluster.connect(&inside, PORT, SOON).await.unwrap();
        stream.write_all(b"hello").await.ok()?;
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.ok()?;
        Some(said)
    };
    // It runs a moment before it listens.
    until("its port is open", async || talk().await == Some(*b"HELLO")).await;
    let mut large = cluster.connect(&inside, PORT, SOON).await.unwrap();
    let (mut reading, mut writing) = tokio::io::split(&mut large);
    let sent = vec![b'x'; 1 << 20];
    let mut heard = vec![0; sent.len()];
    let (wrote, read) = tokio::join!(writing.write_all(&sent), reading.read_exact(&mut heard));
    wrote.and(read.map(drop)).unwrap();
    assert!(heard.iter().all(|byte| *byte == b'X'));
    let mut closed = cluster.connect(&inside, PORT + 1, SOON).await.unwrap();
    let mut nothing = Vec::new();
    let ended = tokio::time::timeout(SOON, closed.read_to_end(&mut nothing)).await;
    assert!(ended.is_ok_and(|ended| ended.is_err()), "nobody listens there, and it is said");
    let none = cluster.connect(&at(namespace, "none"), PORT, SOON).await.err();
    assert!(matches!(none, Some(ClusterError::Missing(_))), "{none:?}");
}
