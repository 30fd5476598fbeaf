//! Ports for the servers of a test. The kernel gives clients ports of their own choice from 32768 on, so a server that
//! comes back to its port has to have it from below that; and from above those that tests name themselves, below 20000.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// The first of five ports in a row that are free right now; others at every call.
pub fn five_free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % 1200) as u16 * 10;
    let mut places = (0..1500).map(|_| 20_000 + (own + NEXT.fetch_add(10, Ordering::Relaxed)) % 12_000);
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    places.find(|base| (*base..*base + 5).all(free)).expect("five free ports in a row")
}
