//! The proxy as clients see it: what passes, when, how it ends; with faults that come and go on open connections.

use super::*;
use crate::adapters::proxy::{Direction, Effect, Keep, Side};
use crate::clock::Clock;
use crate::model::{Bandwidth, Dur, Size};
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a shared machine may be late.
const LATE: Duration = Duration::from_millis(1500);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A proxy in front of an echo; both end with the test.
struct Bed {
    proxy: Arc<Proxy>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An echo that passes the end of a stream back.
async fn echo(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let (mut read, mut write) = stream.into_split();
            let _broken_off = tokio::io::copy(&mut read, &mut write).await;
            let _gone = write.shutdown().await;
        });
    }
}

impl Bed {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        tokio::spawn(echo(listener));
        Self::before(&upstream, "127.0.0.1:0").await
    }

    async fn before(upstream: &str, listen: &str) -> Self {
        let port = Port::bind(listen.parse().unwrap()).unwrap();
        let address = port.address().unwrap();
        let keep = Keep { runner: None, orphaned: Orphaned::Open, linger: Dur(ms(0)), deadline: None };
        let start = ProxyStart { listen: address, upstream: upstream.into(), control: "unused".into(), keep };
        let proxy = Arc::new(Proxy::new(address, &start));
        let stop = CancellationToken::new();
        let way = Way {
            upstream: Arc::clone(&proxy.upstream),
            table: proxy.table.subscribe(),
            counters: Arc::clone(&proxy.counters),
            tasks: TaskTracker::new(),
        };
        tokio::spawn(listener::listen(port, way, stop.clone()));
        Self { proxy, address, stop }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn set(&self, direction: Direction, share: f64, effect: Effect) {
        self.proxy.set(LineFault { owner: "bs-1".into(), name: "r/f".into(), direction, share, effect });
    }

    fn clear(&self) {
        self.proxy.change(|table| table.faults.clear());
    }
}

async fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let began = Clock::System.mono();
    stream.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, bytes);
    Clock::System.mono().since(began)
}

/// Nothing comes within the time.
async fn silent(stream: &mut TcpStream, limit: Duration) {
    let mut byte = [0];
    let read = tokio::time::timeout(limit, stream.read(&mut byte)).await;
    assert!(read.is_err(), "{read:?}");
}

async fn end_of(stream: &mut TcpStream) -> Result<usize, ErrorKind> {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(LATE * 4, stream.read_to_end(&mut rest)).await;
    read.expect("it never ended").map_err(|e| e.kind())
}

/// How a new connection fails, connecting or used; none if a byte comes back.
async fn refusal(address: SocketAddr) -> Option<ErrorKind> {
    let tried = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"x").await?;
        stream.read_exact(&mut [0]).await
    };
    tried.await.err().map(|e| e.kind())
}

async fn until_refusal_is(address: SocketAddr, wanted: Option<ErrorKind>) {
    let mut last = None;
    for _ in 0..400 {
        last = refusal(address).await;
        if last == wanted {
            return;
        }
        tokio::time::sleep(ms(5)).await;
    }
    panic!("{last:?} instead of {wanted:?}");
}

/// Bytes that differ everywhere, so that none can be lost, doubled or swapped unseen.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| table::mix(i as u64 / 8).to_le_bytes()[i % 8]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_unchanged_and_each_half_closes_by_itself() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let echoing = TcpListener::bind(listen).await.unwrap();
        let upstream = echoing.local_addr().unwrap().to_string();
        tokio::spawn(echo(echoing));
        let bed = Bed::before(&upstream, listen).await;
        let (mut read, mut write) = bed.connect().await.into_split();
        let sent = pattern(8 << 20);
        let own = sent.clone();
        let sender = tokio::spawn(async move {
            write.write_all(&own).await.unwrap();
            // The end of our stream must not end the answer.
            write.shutdown().await.unwrap();
            write
        });
        let mut back = Vec::new();
        read.read_to_end(&mut back).await.unwrap();
        sender.await.unwrap();
        assert!(back == sent, "{listen}: {} of {} bytes came back", back.len(), sent.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_swapped_while_faults_come_and_go() {
    let bed = Bed::new().await;
    let (mut read, mut write) = bed.connect().await.into_split();
    let sent = pattern(24 << 20);
    let own = sent.clone();
    let sender = tokio::spawn(async move {
        for part in own.chunks(100_001) {
            write.write_all(part).await.unwrap();
        }
        write.shutdown().await.unwrap();
    });
    let reader = tokio::spawn(async move {
        let mut back = Vec::new();
        read.read_to_end(&mut back).await.unwrap();
        back
    });
    let latency = |delay, jitter| Effect::Latency { delay: Dur(ms(delay)), jitter: Dur(ms(jitter)) };
    let effects = [
        latency(20, 15),
        Effect::BlackHole,
        latency(5, 5),
        Effect::Bandwidth { rate: Bandwidth(50_000_000) },
        latency(30, 0),
        Effect::SlowClose { delay: Dur(ms(100)) },
    ];
    for effect in effects.iter().cycle().take(36) {
        bed.set(Direction::Both, 1.0, effect.clone());
        tokio::time::sleep(ms(12)).await;
        if matches!(effect, Effect::BlackHole) {
            bed.clear();
            tokio::time::sleep(ms(3)).await;
        }
    }
    bed.clear();
    sender.await.unwrap();
    let back = reader.await.unwrap();
    assert!(back == sent, "{} of {} bytes came back", back.len(), sent.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_delays_each_direction_it_is_for_also_on_open_connections() {
    let bed = Bed::new().await;
    let mut stream = bed.connect().await;
    assert!(round_trip(&mut stream, b"x").await < LATE);
    let latency = |delay, jitter| Effect::Latency { delay: Dur(ms(delay)), jitter: Dur(ms(jitter)) };
    for (direction, least) in [(Direction::ToClient, 200), (Direction::ToUpstream, 200), (Direction::Both, 400)] {
        bed.set(direction, 1.0, latency(200, 0));
        let took = round_trip(&mut stream, b"x").await;
        assert!(took >= ms(least) && took < ms(least) + LATE, "{direction:?} {took:?}");
    }
    bed.set(Direction::ToClient, 1.0, latency(100, 80));
    let mut took = Vec::new();
    for _ in 0..30 {
        took.push(round_trip(&mut stream, b"x").await);
    }
    took.sort();
    assert!(took[0] >= ms(20) && took[0] < ms(100), "{took:?}");
    assert!(took[29] > ms(100) && took[15] < ms(180), "{took:?}");
    bed.clear();
    let mut quick = false;
    for _ in 0..50 {
        quick |= round_trip(&mut stream, b"x").await < ms(20);
    }
    assert!(quick);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_carries_what_it_is_wide_shared_by_all() {
    let bed = Bed::new().await;
    bed.set(Direction::ToUpstream, 1.0, Effect::Bandwidth { rate: Bandwidth(1_000_000) });
    let began = Clock::System.mono();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut stream = bed.connect().await;
        all.spawn(async move { round_trip(&mut stream, &pattern(250_000)).await });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    let took = Clock::System.mono().since(began);
    assert!(took >= ms(950) && took < ms(1000) + LATE, "1 MB took {took:?} at 1 MB/s");
    assert_eq!(bed.proxy.state().to_upstream, 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_swallows_and_gives_back() {
    let bed = Bed::new().await;
    let mut old = bed.connect().await;
    round_trip(&mut old, b"before").await;
    bed.set(Direction::Both, 1.0, Effect::BlackHole);
    let mut new = bed.connect().await;
    for stream in [&mut old, &mut new] {
        stream.write_all(b"hello").await.unwrap();
        silent(stream, ms(150)).await;
    }
    bed.clear();
    for stream in [&mut old, &mut new] {
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_are_resets_at_once_or_after_so_many_bytes() {
    let bed = Bed::new().await;
    let mut old = bed.connect().await;
    round_trip(&mut old, b"before").await;
    bed.set(Direction::Both, 1.0, Effect::Reset { after: Size(0) });
    assert_eq!(end_of(&mut old).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(refusal(bed.address).await, Some(ErrorKind::ConnectionReset));
    bed.clear();
    let mut stream = bed.connect().await;
    round_trip(&mut stream, b"not counted").await;
    bed.set(Direction::ToUpstream, 1.0, Effect::Reset { after: Size(10) });
    round_trip(&mut stream, b"nine byte").await;
    stream.write_all(b"xyz").await.unwrap();
    assert_eq!(end_of(&mut stream).await, Err(ErrorKind::ConnectionReset));
    assert!(bed.proxy.state().broken >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_lets_exactly_so_many_bytes_pass() {
    let bed = Bed::new().await;
    bed.set(Direction::ToClient, 1.0, Effect::Limit { bytes: Size(300_000) });
    let (mut read, mut write) = bed.connect().await.into_split();
    tokio::spawn(async move { while write.write_all(&pattern(100_000)).await.is_ok() {} });
    let mut back = Vec::new();
    tokio::time::timeout(LATE * 4, read.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back.len(), 300_000);
    // Taken away before it is reached, it counts no more.
    let mut stream = bed.connect().await;
    round_trip(&mut stream, &pattern(200_000)).await;
    bed.clear();
    round_trip(&mut stream, &pattern(200_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_close_is_late_and_a_half_open_connection_is_never_told() {
    let bed = Bed::new().await;
    bed.set(Direction::Both, 1.0, Effect::SlowClose { delay: Dur(ms(300)) });
    let mut stream = bed.connect().await;
    let began = Clock::System.mono();
    stream.shutdown().await.unwrap();
    assert_eq!(end_of(&mut stream).await, Ok(0));
    assert!(Clock::System.mono().since(began) >= ms(600), "300 ms each way");
    bed.clear();
    // The upstream is gone; the client does not learn it until the fault is.
    let mut stream = bed.connect().await;
    round_trip(&mut stream, b"x").await;
    bed.set(Direction::Both, 1.0, Effect::HalfOpen { closed: Side::Upstream });
    stream.write_all(b"anybody?").await.unwrap();
    silent(&mut stream, ms(200)).await;
    bed.clear();
    assert_eq!(end_of(&mut stream).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_port_is_closed_stays_ours_and_opens_again() {
    let bed = Bed::new().await;
    let mut old = bed.connect().await;
    round_trip(&mut old, b"x").await;
    for _ in 0..3 {
        bed.set(Direction::Both, 1.0, Effect::Refuse);
        // Set is set at once for what is open; the port itself follows within moments.
        until_refusal_is(bed.address, Some(ErrorKind::ConnectionRefused)).await;
        assert!(std::net::TcpListener::bind(bed.address).is_err(), "the port is free for others");
        round_trip(&mut old, b"established connections go on").await;
        bed.clear();
        until_refusal_is(bed.address, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_connections_is_touched_and_the_others_are_not() {
    let bed = Bed::new().await;
    bed.set(Direction::Both, 0.5, Effect::Reset { after: Size(0) });
    let mut reset = 0;
    for _ in 0..100 {
        reset += u32::from(refusal(bed.address).await.is_some());
    }
    assert!((47..=53).contains(&reset), "{reset} of 100");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_read_holds_the_sender_back() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bed = Bed::before(&silent.local_addr().unwrap().to_string(), "127.0.0.1:0").await;
    let mut stream = bed.connect().await;
    let (held, _) = silent.accept().await.unwrap();
    let part = pattern(1 << 20);
    let mut sent = 0;
    while sent < 400 && tokio::time::timeout(ms(500), stream.write_all(&part)).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 400, "{sent} MiB went into the proxy, and nobody read them");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_breaks_off_or_is_not_there_is_seen_by_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bed = Bed::before(&listener.local_addr().unwrap().to_string(), "127.0.0.1:0").await;
    let mut stream = bed.connect().await;
    let (upstream, _) = listener.accept().await.unwrap();
    upstream.set_zero_linger().unwrap();
    drop(upstream);
    assert_eq!(end_of(&mut stream).await, Err(ErrorKind::ConnectionReset));
    drop(listener);
    assert_eq!(refusal(bed.address).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(bed.proxy.state().broken, 0, "no fault did it");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_connections_are_served_at_once_and_counted() {
    let bed = Bed::new().await;
    let mut streams = Vec::new();
    for _ in 0..400 {
        streams.push(bed.connect().await);
    }
    for stream in &mut streams {
        round_trip(stream, b"here").await;
    }
    assert_eq!((bed.proxy.state().accepted, bed.proxy.state().open), (400, 400));
    drop(streams);
    for _ in 0..500 {
        if bed.proxy.state().open == 0 {
            return;
        }
        tokio::time::sleep(ms(10)).await;
    }
    panic!("{} connections are still open", bed.proxy.state().open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_goes_through_the_same_faults() {
    let bed = Bed::new().await;
    bed.set(Direction::Both, 0.01, Effect::Latency { delay: Dur(ms(150)), jitter: Dur(ms(0)) });
    let Said::Echo(address) = bed.proxy.answer(Ok(Ask::Echo)).await else { panic!("no echo") };
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(round_trip(&mut stream, b"x").await >= ms(300));
    assert_eq!(bed.proxy.state().accepted, 0, "a look is no client");
}
