//! The probe of Prometheus against Debian's `prometheus`, which looks at itself, on a free port of its own.

use super::conforms::Bench;
use super::probes::ask;
use blackstart::adapters::AdapterError;
use blackstart::adapters::kubernetes::Access;
use blackstart::probes::ProbeError;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It is up within this on a machine with ten times as much to do as it can.
const LIMIT: Duration = Duration::from_secs(60);

struct Prometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs: [{{job_name: self, static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "/usr/bin/prometheus"])
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tests/install.sh installs prometheus");
        Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn bench() -> Bench {
    Bench::new(&Access::default(), "none")
}

fn probe(url: &str, query: &str, more: Value) -> Value {
    let mut probe = json!({"url": url, "query": query, "value": {"equals": 1}});
    probe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"prometheus": probe})
}

#[tokio::test]
async fn values_of_a_real_prometheus_are_compared() {
    let (server, bench) = (Prometheus::start(), bench());
    let end = Instant::now() + LIMIT;
    let up = probe(&server.url, r#"up{job="self"}"#, json!({"empty": 0}));
    loop {
        match ask(&bench, up.clone()).await {
            Ok(sample) if sample.holds => break,
            other => assert!(Instant::now() < end, "never up: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let of = async |query: &str, more: Value| ask(&bench, probe(&server.url, query, more)).await;
    let two = of("vector(1) + 1", json!({"value": {"equals": 2}})).await.unwrap();
    assert!(two.holds && two.answer == "2", "{two:?}");
    assert!(of("scalar(vector(1))", json!({})).await.unwrap().holds);
    let less = of("up", json!({"value": {"at_most": 0}})).await.unwrap();
    assert!(!less.holds && less.detail.contains("wanted: at most 0"), "{less:?}");
    assert!(of("nothing_is_called_so", json!({"empty": 1})).await.unwrap().holds);
    // In 1970 nobody looked.
    assert!(!of("up", json!({"empty": 0, "at": "1970-01-02T00:00:00Z"})).await.unwrap().holds);
    let several =
        r#"prometheus_http_requests_total >= 0 or on() vector(1) or label_replace(vector(1), "a", "b", "", "")"#;
    let all = of(several, json!({"several": "all", "value": {"at_least": 0}})).await.unwrap();
    assert!(all.holds && all.detail.contains("series, all"), "{all:?}");
    assert!(of(several, json!({"several": "any", "value": {"at_least": 0}})).await.unwrap().holds);
    assert!(!of(several, json!({"several": "any", "value": {"at_least": 1e9}})).await.unwrap().holds);
}

#[tokio::test]
async fn what_decides_nothing_says_what_to_write() {
    let (server, bench) = (Prometheus::start(), bench());
    let end = Instant::now() + LIMIT;
    loop {
        let error = match ask(&bench, probe(&server.url, "nothing_is_called_so", json!({}))).await {
            Err(ProbeError::Undecided(why)) => break assert!(why.contains("`empty: 0`"), "{why}"),
            other => other,
        };
        assert!(Instant::now() < end, "never up: {error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let two = r#"vector(1) or label_replace(vector(2), "a", "b", "", "")"#;
    for (query, words) in [
        (two, "`several: all`"),
        ("up{", "parse error"),
        ("up[1m]", "`max_over_time(…)`"),
        ("vector(0) / vector(0)", "is not a number"),
        (r#""text""#, "not for a number"),
    ] {
        match ask(&bench, probe(&server.url, query, json!({}))).await {
            Err(ProbeError::Undecided(why)) => assert!(why.contains(words), "{query}: {why}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let elsewhere = ask(&bench, probe(&format!("{}/graph", server.url), "up", json!({}))).await.unwrap_err();
    assert!(matches!(&elsewhere, ProbeError::Undecided(why) if why.contains("/api/v1")), "{elsewhere:?}");
    let nobody = ask(&bench, probe("http://127.0.0.1:1", "up", json!({}))).await.unwrap_err();
    assert!(matches!(nobody, ProbeError::World(AdapterError::Unreachable(_))), "{nobody:?}");
}
