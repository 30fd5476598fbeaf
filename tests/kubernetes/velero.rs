//! A double of Velero: it takes up Restore objects of the double API server, moves them through their phases as a test says,
//! puts a ConfigMap where the restore goes, and hands out what it wrote down of it. It backs nothing up and reads no storage.

use super::double::Double;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How its restores end.
#[derive(Clone)]
pub struct Course {
    /// The last phase.
    pub phase: &'static str,
    /// Of how many items how many are restored.
    pub items: (i64, i64),
    /// What it writes down: `{"errors": {…}, "warnings": {…}}`, with their numbers.
    pub messages: Value,
    pub errors: i64,
    pub warnings: i64,
    /// `validationErrors`, `failureReason`.
    pub more: Value,
}

impl Default for Course {
    fn default() -> Self {
        Self { phase: "Completed", items: (7, 7), messages: json!({}), errors: 0, warnings: 0, more: json!({}) }
    }
}

/// It works until it is dropped.
pub struct Velero {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Velero {
    pub fn beside(double: &Arc<Double>, course: Course) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/results?X-Amz-Signature=not-to-be-shown", listener.local_addr().unwrap());
        let work = {
            let (double, stop, course) = (double.clone(), stop.clone(), course.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    step(&double, &course, &url);
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            }
        };
        let serve = {
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::Relaxed) {
                    hand_out(&listener, &course.messages);
                    std::thread::park_timeout(Duration::from_millis(10));
                }
            }
        };
        Self { stop, threads: vec![std::thread::spawn(work), std::thread::spawn(serve)] }
    }
}

impl Drop for Velero {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// One phase further for every restore, and an address for every request.
fn step(double: &Double, course: &Course, url: &str) {
    for restore in double.list("restores.velero.io", "velero") {
        let name = restore["metadata"]["name"].as_str().unwrap().to_owned();
        let next = match restore["status"]["phase"].as_str().unwrap_or_default() {
            "" => json!({"phase": "New"}),
            "New" if course.phase == "FailedValidation" => last(course),
            "New" => json!({"phase": "InProgress", "progress": {"itemsRestored": 1, "totalItems": course.items.1}}),
            "InProgress" => {
                put(double, &restore);
                last(course)
            }
            _ => continue,
        };
        double.change("restores.velero.io", "velero", &name, |restore| restore["status"] = next);
    }
    for request in double.list("downloadrequests.velero.io", "velero") {
        if request["status"]["downloadURL"].is_null() {
            let name = request["metadata"]["name"].as_str().unwrap();
            let status = json!({"phase": "Processed", "downloadURL": url});
            double.change("downloadrequests.velero.io", "velero", name, |request| request["status"] = status);
        }
    }
}

fn last(course: &Course) -> Value {
    let (done, all) = course.items;
    let mut status = json!({"phase": course.phase, "progress": {"itemsRestored": done, "totalItems": all},
        "errors": course.errors, "warnings": course.warnings});
    status.as_object_mut().unwrap().extend(course.more.as_object().unwrap().clone());
    status
}

/// Something that is there after a restore.
fn put(double: &Double, restore: &Value) {
    let from = restore["spec"]["includedNamespaces"][0].as_str().unwrap_or("shop");
    let to = restore["spec"]["namespaceMapping"][from].as_str().unwrap_or(from);
    double.object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "restored", "namespace": to},
        "data": {"from": restore["spec"]["backupName"]}}));
}

fn hand_out(listener: &TcpListener, messages: &Value) {
    let Ok((mut stream, _)) = listener.accept() else { return };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _asked = stream.read(&mut [0; 4096]);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(messages.to_string().as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", packed.len());
    let _told = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&packed));
}
