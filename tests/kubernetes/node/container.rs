//! One container: its command as a process of this machine, in namespaces of its own for processes, mounts and its host
//! name, with its own root; what it writes; and programs that are run beside it.

use super::environment::{Variables, expand, items};
use super::log::Log;
use super::pod::Pod;
use super::volumes::{self, Mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How a container is, as its pod's status says it.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: String },
    Ended(Ended),
}

/// How a run of it has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub code: i32,
    pub signal: Option<i32>,
    pub since: String,
    pub at: String,
}

/// What is known about a container.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub state: State,
    pub last: Option<Ended>,
    pub restarts: u32,
    pub ready: bool,
}

/// A container of a pod.
pub struct Container {
    pub name: String,
    pub spec: Value,
    pub view: Mutex<View>,
    pub log: Mutex<Option<Arc<Log>>>,
    pub previous: Mutex<Option<Arc<Log>>>,
    /// The process that waits for its first process, and what it was started with.
    running: Mutex<Option<(u32, Variables)>>,
}

impl Container {
    pub fn new(spec: &Value) -> Self {
        let state = State::Waiting { reason: "ContainerCreating", message: String::new() };
        Self {
            name: spec["name"].as_str().unwrap_or_default().to_owned(),
            spec: spec.clone(),
            view: Mutex::new(View { state, last: None, restarts: 0, ready: false }),
            log: Mutex::default(),
            previous: Mutex::default(),
            running: Mutex::default(),
        }
    }

    pub fn look(&self) -> View {
        self.view.lock().unwrap().clone()
    }

    pub fn runs(&self) -> bool {
        self.running.lock().unwrap().is_some()
    }

    /// Starts it. A new log begins.
    pub fn start(&self, pod: &Pod, env: Variables, mounts: &[Mount]) -> std::io::Result<Child> {
        let root = self.root(pod);
        volumes::tree(&root, mounts)?;
        let mut command = bound("/usr/bin/unshare");
        command.args(["--mount", "--pid", "--uts", "--fork", "--kill-child"]);
        if pod.node.place.ahead > 0 {
            let ahead = pod.node.place.ahead.to_string();
            command.args(["--time", "--monotonic", &ahead, "--boottime", &ahead]);
        }
        command.args(["--", "/bin/sh"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes/node/container.sh"));
        command.arg(&root).arg(&pod.name).arg(self.folder()).args(self.user(pod));
        for mount in mounts {
            command.arg(&mount.source).arg(&mount.target).arg(mount.read_only);
        }
        command.arg("--").args(self.argv(&env)).env_clear().envs(&env);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let log = Arc::new(Log::new(2));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (first, second) = (Arc::clone(&log), Arc::clone(&log));
        tokio::spawn(async move { first.keep(out).await });
        tokio::spawn(async move { second.keep(err).await });
        *self.previous.lock().unwrap() = self.log.lock().unwrap().replace(log);
        *self.running.lock().unwrap() = child.id().map(|pid| (pid, env));
        Ok(child)
    }

    /// It has ended like this.
    pub fn ended(&self, status: ExitStatus) -> (i32, Option<i32>) {
        use std::os::unix::process::ExitStatusExt;
        *self.running.lock().unwrap() = None;
        (status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()), status.signal())
    }

    fn folder(&self) -> &str {
        self.spec["workingDir"].as_str().unwrap_or("/")
    }

    /// Its user and group, empty for root's.
    fn user(&self, pod: &Pod) -> [String; 2] {
        let object = pod.object();
        let of_pod = &object["spec"]["securityContext"];
        ["runAsUser", "runAsGroup"].map(|key| {
            let own = self.spec["securityContext"][key].as_u64().or_else(|| of_pod[key].as_u64());
            own.map(|number| number.to_string()).unwrap_or_default()
        })
    }

    fn argv(&self, env: &Variables) -> Vec<String> {
        let words = [items(&self.spec, "command"), items(&self.spec, "args")].concat();
        let words: Vec<String> = words.iter().filter_map(Value::as_str).map(|word| expand(word, env)).collect();
        // Without a command the image would say what to do: here it waits to be ended.
        if words.is_empty() { ["sleep", "infinity"].map(str::to_owned).to_vec() } else { words }
    }

    /// Its first process, as this machine numbers it.
    fn first(&self) -> Option<i32> {
        let waiter = self.running.lock().unwrap().as_ref()?.0;
        let children = std::fs::read_to_string(format!("/proc/{waiter}/task/{waiter}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Asks its first process to end; one that has no handler for that does not, as in every container.
    pub fn ask_to_end(&self) {
        // It may have ended by itself.
        let _gone = self.first().map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
    }

    /// Kills all of it.
    pub fn kill(&self) {
        let waiter = self.running.lock().unwrap().as_ref().and_then(|(pid, _)| i32::try_from(*pid).ok());
        // The kernel kills the first process with its waiter, and everything in it with the first process.
        let _gone = waiter.map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
    }

    /// A program in it, not started yet; none if the container does not run.
    pub fn beside(&self, pod: &Pod, argv: &[String]) -> Option<Command> {
        let first = self.first()?;
        let env = self.running.lock().unwrap().as_ref()?.1.clone();
        let mut command = bound("/usr/bin/nsenter");
        command.args(["--mount", "--pid", "--uts", "--root", "--target"]).arg(first.to_string());
        command.args(["--", "/usr/bin/env", "-C"]).arg(self.folder());
        let [user, group] = self.user(pod);
        if !user.is_empty() || !group.is_empty() {
            let or_root = |id: String| if id.is_empty() { "0".to_owned() } else { id };
            command.args(["/usr/bin/setpriv", "--clear-groups", "--reuid"]).arg(or_root(user));
            command.arg("--regid").arg(or_root(group));
        }
        command.args(argv).env_clear().envs(env).kill_on_drop(true);
        Some(command)
    }

    /// Waits until its first process has its own root, so that a program beside it has the same.
    pub async fn settled(&self, pod: &Pod) {
        let root = self.root(pod);
        let has = || {
            self.first().is_some_and(|pid| std::fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|is| is == root))
        };
        let end = Instant::now() + Duration::from_secs(10);
        // One that has ended waits to be asked for it.
        let over = |stat: String| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'));
        let gone = |waiter: u32| std::fs::read_to_string(format!("/proc/{waiter}/stat")).map_or(true, over);
        while !has() && Instant::now() < end {
            let waiter = self.running.lock().unwrap().as_ref().map(|(pid, _)| *pid);
            if waiter.is_none_or(gone) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn root(&self, pod: &Pod) -> PathBuf {
        pod.folder.join("roots").join(&self.name)
    }
}

/// A command that ends with this process, however that ends.
fn bound(program: &str) -> Command {
    Command::from(crate::processes::bound(program))
}
