//! Addresses for pods: a part of 10.181.0.0/16 that is this machine's own while the test lives, by a route on `lo`.
//! Those of 127.0.0.0/8 will not do: a Service cannot lead to them. The route goes with the test's process, however
//! that ends.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// So many ranges there are, each of so many addresses.
const RANGES: u32 = 16;
const EACH: u32 = 4096;
const FIRST: u32 = u32::from_be_bytes([10, 181, 0, 0]);
/// Holds the route until its input ends. Whoever interrupts a test by the keyboard does not reach it.
const KEEPER: &str = r#"ip route add local "$1" dev lo 2>/dev/null || exit 1
echo taken; read -r _; ip route del local "$1" dev lo"#;

/// One of the ranges.
pub struct Range {
    keeper: Child,
    first: u32,
    taken: Mutex<(u32, HashSet<u32>)>,
}

impl Range {
    /// One that nobody has.
    pub fn take() -> Self {
        let from = std::process::id();
        (0..RANGES)
            .find_map(|add| Self::try_take((from + add) % RANGES))
            .expect("root, `ip`, and a free range of 10.181.0.0/16")
    }

    fn try_take(number: u32) -> Option<Self> {
        let first = FIRST + number * EACH;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(format!("{}/20", Ipv4Addr::from(first))).process_group(0);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut said = String::new();
        BufReader::new(keeper.stdout.take()?).read_line(&mut said).ok()?;
        if said.trim() == "taken" {
            return Some(Self { keeper, first, taken: Mutex::default() });
        }
        keeper.wait().ok()?;
        None
    }

    /// An address that no pod has; not the same soon again.
    pub fn address(&self) -> Ipv4Addr {
        let mut taken = self.taken.lock().unwrap();
        let (next, used) = &mut *taken;
        let free = (0..EACH).map(|add| (*next + add) % (EACH - 2) + 1).find(|number| !used.contains(number));
        let free = free.expect("an address that no pod has");
        *next = free;
        used.insert(free);
        Ipv4Addr::from(self.first + free)
    }

    pub fn give_back(&self, address: Ipv4Addr) {
        self.taken.lock().unwrap().1.remove(&(u32::from(address) - self.first));
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(e) = self.keeper.wait() {
            eprintln!("the keeper of the pods' addresses: {e}");
        }
    }
}
