//! Two network namespaces joined by a cable, made for one test and gone with it; sockets that stand in them.

use blackstart::adapters::{NetworkPlace, World};
use blackstart::model::PinnedTarget;
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Addresses of the cable's ends.
pub const A: &str = "10.83.77.1";
pub const B: &str = "10.83.77.2";
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Runs a command that must succeed; what it printed.
#[track_caller]
pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A name that nobody else has.
pub fn unique() -> String {
    format!("{:x}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst))
}

/// A network namespace with a file of its own.
pub struct Netns {
    path: PathBuf,
}

impl Netns {
    /// At this path; nobody who looks through the named ones sees it.
    pub fn at(path: PathBuf) -> Self {
        std::fs::write(&path, "").unwrap();
        let made = Self { path };
        made.make();
        made
    }

    /// One that `ip netns` lists.
    pub fn named() -> Self {
        let name = format!("bst-{}", unique());
        sh(&format!("ip netns add {name}"));
        let made = Self { path: Path::new("/run/netns").join(name) };
        made.sh("ip link set lo up");
        made
    }

    fn make(&self) {
        sh(&format!("unshare --net={} ip link set lo up", self.path.display()));
    }

    fn remove(&self) {
        // As often as it is mounted there; it may be gone already.
        drop(Command::new("umount").args(["-q", "-l"]).arg(&self.path).status());
    }

    /// Another namespace of the same name.
    pub fn replace(&self) {
        self.remove();
        self.make();
    }

    /// It is gone for good.
    pub fn end(&self) {
        self.remove();
        std::fs::remove_file(&self.path).unwrap();
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a command says in it.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        sh(&format!("nsenter --net={} sh -ec '{script}'", self.path.display()))
    }

    /// Does something in it.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(&self.path).unwrap();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                setns(&file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            worker.join().unwrap()
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        self.remove();
        drop(std::fs::remove_file(&self.path));
    }
}

/// Two namespaces and a cable between them: `a0` in the first, `b0` in the second.
pub struct Lab {
    pub a: Netns,
    pub b: Netns,
}

impl Lab {
    /// Below this folder.
    pub fn new(folder: &Path) -> Self {
        let lab = Self { a: Netns::at(folder.join("a.net")), b: Netns::at(folder.join("b.net")) };
        lab.cable();
        lab
    }

    fn cable(&self) {
        // The other end is moved by a process that stands in its namespace: a file has no name that ip knows.
        let (a, b) = (self.a.path.display(), self.b.path.display());
        sh(&format!(
            "nsenter --net={b} sleep 60 & there=$!; \
             trap 'kill $there' EXIT; \
             until [ \"$(readlink /proc/$there/ns/net)\" != \"$(readlink /proc/$$/ns/net)\" ]; do sleep 0.01; done; \
             nsenter --net={a} ip link add a0 type veth peer name b0 netns $there"
        ));
        self.a.sh(&format!("ip addr add {A}/24 dev a0; ip link set a0 up"));
        self.b.sh(&format!("ip addr add {B}/24 dev b0; ip link set b0 up"));
        for (end, dev) in [(&self.a, "a0"), (&self.b, "b0")] {
            end.sh(&format!("until ip link show {dev} | grep -q \"state UP\"; do sleep 0.01; done"));
        }
    }

    /// The first one and the cable are made again, under the same names.
    pub fn replace(&self) {
        self.a.replace();
        // The kernel takes the old cable away when it comes to it.
        self.b.sh("ip link del b0 2>/dev/null || true");
        self.cable();
    }

    /// A server in `b` that sends back what it reads, on this port.
    pub fn echo(&self, port: u16) -> Echo {
        Echo::start(self.b.inside(|| TcpListener::bind((B, port)).unwrap()))
    }

    /// A connection from `a` to `b`.
    pub fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        let address = SocketAddr::new(B.parse().unwrap(), port);
        self.a.inside(|| TcpStream::connect_timeout(&address, Duration::from_millis(900)))
    }

    /// Sockets in `a` and `b` that know each other.
    pub fn datagrams(&self, port: u16) -> (UdpSocket, UdpSocket) {
        let at_a = self.a.inside(|| UdpSocket::bind((A, port)).unwrap());
        let at_b = self.b.inside(|| UdpSocket::bind((B, port)).unwrap());
        at_a.connect((B, port)).unwrap();
        at_b.connect((A, port)).unwrap();
        (at_a, at_b)
    }
}

/// An echo server; it accepts nobody any more when this is dropped.
pub struct Echo {
    ended: Arc<AtomicBool>,
}

impl Echo {
    fn start(listener: TcpListener) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            while !told.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => drop(std::thread::spawn(move || serve(stream))),
                    Err(_) => std::thread::park_timeout(Duration::from_millis(2)),
                }
            }
        });
        Self { ended }
    }
}

fn serve(mut stream: TcpStream) {
    stream.set_nonblocking(false).unwrap();
    let mut buffer = [0_u8; 16_384];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// Does the other end answer on this connection in time?
pub fn answers(stream: &mut TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).unwrap();
    stream.write_all(b"x").is_ok() && matches!(stream.read(&mut [0_u8; 64]), Ok(1..))
}

/// Does a datagram arrive in time?
pub fn arrives(from: &UdpSocket, to: &UdpSocket) -> bool {
    to.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    // A rejected one before it may be reported now.
    drop(from.send(b"x"));
    to.recv(&mut [0_u8; 64]).is_ok()
}

/// What a namespace's file stands for now.
pub fn find(path: &Path, world: &World, interface: Option<&str>) -> Result<PinnedTarget, String> {
    let place = NetworkPlace::File(path.to_path_buf());
    let identity = world.network.namespace(&place).map_err(|e| e.to_string())?.ok_or("no namespace")?;
    let mut fields = BTreeMap::from([
        ("namespace".to_owned(), path.to_string_lossy().into_owned()),
        ("inode".to_owned(), identity.inode.to_string()),
    ]);
    fields.extend(interface.map(|name| ("interface".to_owned(), name.to_owned())));
    Ok(PinnedTarget { name: "line".into(), kind: "network".into(), fields, ..Default::default() })
}
