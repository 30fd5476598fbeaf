//! Network namespaces, packet filters (nftables) and queueing disciplines (tc) of this machine, as JSON in and out. What
//! a fault does with them is not known here; nothing here decides by a tool's words.

use super::{AdapterError, Command, CommandOutput, Fut};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod system;

pub use system::enter;

/// This machine's.
pub(super) fn system() -> Arc<dyn Network> {
    Arc::new(system::SystemNetwork)
}

/// Folders in which tools keep namespaces by name: `ip netns`, and Docker's engine.
pub const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];
/// A tool that only asks the kernel answers after this, however busy the machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Where a network namespace is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkPlace {
    /// The one that this process is in.
    Own,
    /// A file that stands for one: `/run/netns/NAME`, `/proc/PID/ns/net`.
    File(PathBuf),
}

impl NetworkPlace {
    /// From the way a playbook names it: nothing, a name as `ip netns` has it, or a path.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "" => Self::Own,
            path if path.contains('/') => Self::File(PathBuf::from(path)),
            name => Self::File(Path::new(NAMED[0]).join(name)),
        }
    }
}

/// A network namespace that cannot be mistaken for another one of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceIdentity {
    /// Its file when it was found; none for the one this process is in.
    pub path: Option<PathBuf>,
    /// The number of its inode in the kernel's file system of namespaces.
    pub inode: u64,
    /// /proc/sys/kernel/random/boot_id: no namespace outlives a boot.
    pub boot: String,
}

impl NamespaceIdentity {
    /// For people.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.path {
            None => "this machine's own network".to_owned(),
            Some(path) => match NAMED.iter().find_map(|dir| path.strip_prefix(dir).ok()) {
                Some(name) => format!("network namespace {}", name.display()),
                None => format!("network namespace {}", path.display()),
            },
        }
    }

    /// What a person writes before a command so that it runs there.
    #[must_use]
    pub fn by_hand(&self) -> String {
        match &self.path {
            None => String::new(),
            Some(path) => match path.strip_prefix(NAMED[0]) {
                Ok(name) => format!("ip netns exec {} ", name.display()),
                Err(_) => format!("nsenter --net={} ", path.display()),
            },
        }
    }
}

/// A link of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its number; a new link of the same name has another one.
    pub index: u32,
    /// The largest packet.
    pub mtu: u32,
    /// Other names of it.
    pub also: Vec<String>,
}

/// A queueing discipline of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Qdisc {
    /// The link.
    pub dev: String,
    /// `tbf`, `netem`, `noqueue`, …
    pub kind: String,
    /// `0:` when the kernel made it by itself.
    pub handle: String,
    /// The class it hangs on; none for a root.
    pub parent: Option<String>,
    /// Its settings, as tc shows them.
    pub options: Value,
}

impl Qdisc {
    /// Is it the link's root?
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parent.is_none()
    }
}

/// Network namespaces and the tools that work in them.
pub trait Network: Send + Sync {
    /// The namespace that is there now; none if there is none.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn namespace(&self, place: &NetworkPlace) -> Result<Option<NamespaceIdentity>, AdapterError>;
    /// The namespaces in which something that was left in this one can be: itself, wherever its file is now, and
    /// whatever has its place. None when all is gone.
    ///
    /// # Errors
    /// When they cannot be looked at.
    fn heirs(&self, who: &NamespaceIdentity) -> Result<Vec<NamespaceIdentity>, AdapterError>;
    /// This process's own namespace and all that have a name.
    ///
    /// # Errors
    /// When they cannot be looked at.
    fn all(&self) -> Result<Vec<NamespaceIdentity>, AdapterError>;
    /// Runs a command in exactly this namespace.
    ///
    /// # Errors
    /// `Missing` when the namespace or the program is gone, `Refused` when this user may not enter it.
    fn run<'a>(
        &'a self,
        who: &'a NamespaceIdentity,
        command: &'a Command,
    ) -> Fut<'a, Result<CommandOutput, AdapterError>>;
    /// Runs a command in a namespace that is made for it and gone afterwards: what the kernel can do, without a trace.
    ///
    /// # Errors
    /// As for `run`.
    fn try_out<'a>(&'a self, command: &'a Command) -> Fut<'a, Result<CommandOutput, AdapterError>>;
    /// Connects to `IP:PORT` from exactly this namespace and closes; how long it took.
    ///
    /// # Errors
    /// `Unreachable` or `TimedOut` when the network says no.
    fn connect<'a>(
        &'a self,
        who: &'a NamespaceIdentity,
        address: &'a str,
        limit: Duration,
    ) -> Fut<'a, Result<Duration, AdapterError>>;
}

fn command(argv: &[&str], stdin: Option<String>) -> Command {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Command { argv, env: super::under_way::tool(), stdin, cwd: None, timeout: LIMIT }
}

/// What a tool said, when it did what it was told.
fn said(argv: &[&str], output: CommandOutput) -> Result<String, AdapterError> {
    if output.status == Some(0) {
        return Ok(output.stdout);
    }
    let why = output.stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned();
    Err(AdapterError::Refused(format!("`{}`: {why}", argv.join(" "))))
}

fn parsed(argv: &[&str], text: &str) -> Result<Value, AdapterError> {
    // iproute2 prints nothing at all for an empty list.
    if text.trim().is_empty() {
        return Ok(json!([]));
    }
    serde_json::from_str(text).map_err(|e| AdapterError::Other(format!("`{}` did not print JSON: {e}", argv.join(" "))))
}

impl dyn Network {
    async fn tool(
        &self,
        who: &NamespaceIdentity,
        argv: &[&str],
        stdin: Option<String>,
    ) -> Result<String, AdapterError> {
        said(argv, self.run(who, &command(argv, stdin)).await?)
    }

    async fn ask(&self, who: &NamespaceIdentity, argv: &[&str]) -> Result<Value, AdapterError> {
        parsed(argv, &self.tool(who, argv, None).await?)
    }

    /// Carries out nft commands (see libnftables-json(5)), all or none of them.
    ///
    /// # Errors
    /// `Refused` with the kernel's reason.
    pub async fn nft(&self, who: &NamespaceIdentity, commands: &Value) -> Result<(), AdapterError> {
        self.tool(who, &["nft", "-j", "-f", "-"], Some(json!({ "nftables": commands }).to_string())).await.map(|_| ())
    }

    /// Would the kernel carry out these nft commands? Nothing is changed.
    ///
    /// # Errors
    /// `Refused` with the kernel's reason.
    pub async fn nft_check(&self, who: &NamespaceIdentity, commands: &Value) -> Result<(), AdapterError> {
        let text = json!({ "nftables": commands }).to_string();
        self.tool(who, &["nft", "-c", "-j", "-f", "-"], Some(text)).await.map(|_| ())
    }

    /// The names of the tables of family `inet`.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn tables(&self, who: &NamespaceIdentity) -> Result<Vec<String>, AdapterError> {
        let listed = self.ask(who, &["nft", "-j", "list", "tables", "inet"]).await?;
        let tables = listed["nftables"].as_array().into_iter().flatten();
        Ok(tables.filter_map(|entry| entry["table"]["name"].as_str()).map(str::to_owned).collect())
    }

    /// The rules of a table of family `inet`; none if it is not there.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn rules(&self, who: &NamespaceIdentity, table: &str) -> Result<Option<Vec<Value>>, AdapterError> {
        if !self.tables(who).await?.iter().any(|name| name == table) {
            return Ok(None);
        }
        let listed = self.ask(who, &["nft", "-j", "list", "table", "inet", table]).await?;
        let entries = listed["nftables"].as_array().into_iter().flatten();
        Ok(Some(entries.filter_map(|entry| entry.get("rule")).cloned().collect()))
    }

    /// The links.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn links(&self, who: &NamespaceIdentity) -> Result<Vec<Link>, AdapterError> {
        let listed = self.ask(who, &["ip", "-j", "link", "show"]).await?;
        let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        let link = |entry: &Value| {
            let name = entry["ifname"].as_str()?.to_owned();
            let also = entry["altnames"].as_array().into_iter().flatten();
            let also = also.filter_map(|name| name.as_str().map(str::to_owned)).collect();
            Some(Link { name, index: number(&entry["ifindex"])?, mtu: number(&entry["mtu"])?, also })
        };
        Ok(listed.as_array().into_iter().flatten().filter_map(link).collect())
    }

    /// The queueing disciplines of all links.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn qdiscs(&self, who: &NamespaceIdentity) -> Result<Vec<Qdisc>, AdapterError> {
        let listed = self.ask(who, &["tc", "-j", "qdisc", "show"]).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let qdisc = |entry: &Value| {
            Some(Qdisc {
                dev: text(&entry["dev"])?,
                kind: text(&entry["kind"])?,
                handle: text(&entry["handle"])?,
                parent: if entry["root"] == true { None } else { text(&entry["parent"]) },
                options: entry["options"].clone(),
            })
        };
        Ok(listed.as_array().into_iter().flatten().filter_map(qdisc).collect())
    }

    /// Runs ip with these arguments.
    ///
    /// # Errors
    /// `Refused` with the kernel's reason.
    pub async fn ip(&self, who: &NamespaceIdentity, arguments: &[&str]) -> Result<(), AdapterError> {
        self.tool(who, &[&["ip"], arguments].concat(), None).await.map(|_| ())
    }

    /// Runs tc with these arguments.
    ///
    /// # Errors
    /// `Refused` with the kernel's reason.
    pub async fn tc(&self, who: &NamespaceIdentity, arguments: &[&str]) -> Result<(), AdapterError> {
        self.tool(who, &[&["tc"], arguments].concat(), None).await.map(|_| ())
    }

    /// Can the kernel queue packets in this way? Tried on a loopback that is made for it.
    ///
    /// # Errors
    /// `Refused` with its reason, `Missing` without tc.
    pub async fn has_qdisc(&self, kind_and_options: &[&str]) -> Result<(), AdapterError> {
        let argv = [&["tc", "qdisc", "add", "dev", "lo", "root"], kind_and_options].concat();
        said(&argv, self.try_out(&command(&argv, None)).await?).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(path: Option<&str>) -> NamespaceIdentity {
        NamespaceIdentity { path: path.map(PathBuf::from), inode: 1, boot: "b".to_owned() }
    }

    #[test]
    fn a_place_is_nothing_a_name_or_a_path() {
        assert_eq!(NetworkPlace::named(""), NetworkPlace::Own);
        assert_eq!(NetworkPlace::named("a"), NetworkPlace::File("/run/netns/a".into()));
        assert_eq!(NetworkPlace::named("/proc/7/ns/net"), NetworkPlace::File("/proc/7/ns/net".into()));
    }

    #[test]
    fn a_person_can_run_a_command_there() {
        assert_eq!(identity(None).by_hand(), "");
        assert_eq!(identity(Some("/run/netns/a")).by_hand(), "ip netns exec a ");
        assert_eq!(identity(Some("/proc/7/ns/net")).by_hand(), "nsenter --net=/proc/7/ns/net ");
        assert_eq!(identity(Some("/run/docker/netns/1f")).shown(), "network namespace 1f");
    }

    #[test]
    fn an_empty_list_is_no_text_at_all() {
        assert_eq!(parsed(&["ip"], "\n").unwrap(), json!([]));
        assert!(matches!(parsed(&["ip"], "no"), Err(AdapterError::Other(_))));
    }
}
