//! How punctual the schedule is and what it costs: `cargo bench --bench sampler`. Prints two tables; the figures in
//! `src/docs/performance.md` come from here. The first is of ways to wait until the next millisecond. The second drives a client that does nothing, so that all it measures is the
//! runner's own: schedule, hand-over, operations log.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says where")]

use blackstart::adapters::{
    AdapterError, Client, ClientSettings, Clients, Done, Endpoint, Fut, Opened, Operation, World,
};
use blackstart::clock::Clock;
use blackstart::event::What;
use blackstart::exec::sampler::{Recorder, Sampler};
use blackstart::journal::ops::{OpsWriter, read};
use blackstart::model::{ClientBehaviour, Mono, Outcome, Service};
use blackstart::plan::{Place, WorkloadPlan};
use blackstart::workloads::{HttpVisits, WorkloadSpec};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rustix::event::{Timespec, epoll};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Long enough for a p99.9 at the lowest rate.
const LASTING: Duration = Duration::from_secs(10);

struct Nothing;

impl Client for Nothing {
    fn operate(&self, _: Operation) -> Fut<'_, Done> {
        let now = Clock::System.mono();
        Box::pin(std::future::ready(Done { sent: now, done: now, outcome: Outcome::Ok, found: None }))
    }
}

impl Clients for Nothing {
    fn open<'a>(
        &'a self,
        _: &'a Clock,
        _: &'a Endpoint,
        _: &'a ClientSettings,
    ) -> Fut<'a, Result<Opened, AdapterError>> {
        Box::pin(std::future::ready(Ok(Opened { client: Arc::new(Nothing), store: None })))
    }
}

#[derive(Default)]
struct Stalls {
    count: AtomicU64,
    nanos: Mutex<i64>,
}

impl Recorder for Stalls {
    fn record(&self, what: What) {
        if let What::Stall { span, .. } = what {
            self.count.fetch_add(1, Ordering::Relaxed);
            *self.nanos.lock().unwrap() += span.width();
        }
    }
}

fn plan(name: &str, rate: f64) -> WorkloadPlan {
    let visits: HttpVisits = serde_yaml::from_str("{url: 'http://127.0.0.1/', rate: 1/s}").unwrap();
    WorkloadPlan {
        name: name.into(),
        spec: WorkloadSpec::Http(visits),
        service: Service::default(),
        rate,
        timeout: Duration::from_secs(5),
        client: ClientBehaviour::Fresh,
        writers: 0,
        probe_of: None,
        vantage: None,
        site: None,
        place: Place::default(),
    }
}

/// CPU time of this process so far, user and system.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Runs these rates side by side and prints a line.
async fn measure(title: &str, rates: &[f64]) {
    let dir = tempfile::tempdir().unwrap();
    let stalls = Arc::new(Stalls::default());
    let mut world = World::system();
    world.clients = Arc::new(Nothing);
    let mut samplers = Vec::new();
    for (index, rate) in rates.iter().enumerate() {
        let plan = plan(&format!("w{index}"), *rate);
        let settings = ClientSettings {
            run: "bench".into(),
            behaviour: ClientBehaviour::Fresh,
            timeout: plan.timeout,
            writers: 0,
            payload: 0,
            rate: *rate,
        };
        let endpoint = Endpoint::KvLedger { url: String::new() };
        let ops = OpsWriter::create(dir.path(), &plan.name).unwrap();
        let recorder = Arc::<Stalls>::clone(&stalls);
        samplers.push(Sampler::open(&world, &plan, endpoint, settings, ops, recorder).await.unwrap());
    }
    let (before, origin) = (cpu(), Clock::System.mono().after(Duration::from_millis(20)));
    samplers.iter().for_each(|sampler| sampler.start(origin).unwrap());
    Clock::System.sleep_until(origin.after(LASTING)).await;
    let used = cpu() - before;
    for sampler in &samplers {
        sampler.stop().await.unwrap();
    }
    let mut late = Vec::new();
    let mut gap = 0;
    for index in 0..rates.len() {
        let mut records = read(&dir.path().join(format!("ops/w{index}.ops"))).unwrap().records.to_vec();
        records.sort_by_key(|record| record.due);
        gap = gap.max(records.windows(2).map(|two| two[1].sent - two[0].sent).max().unwrap_or(0));
        late.extend(records.iter().map(|record| record.sent - record.due));
    }
    late.sort_unstable();
    let micros = |share: f64| late[((late.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    println!(
        "{title:<34} {:>8} {:>8.0} {:>8.0} {:>8.0} {:>9.0} {:>9.1} {:>7} {:>7.2} %",
        late.len(),
        micros(0.5),
        micros(0.99),
        micros(0.999),
        micros(1.0),
        gap as f64 / 1e6,
        stalls.count.load(Ordering::Relaxed),
        used / LASTING.as_secs_f64() * 100.0,
    );
}

/// Waits for every millisecond for a while, and prints how late each was and what waiting cost.
fn wait(title: &str, mut until: impl FnMut(Mono)) {
    let (clock, count) = (Clock::System, 3_000_usize);
    let (origin, before) = (clock.mono().after(Duration::from_millis(5)), thread_cpu());
    let mut late: Vec<i64> = (0..count)
        .map(|k| {
            let due = origin + k as i64 * 1_000_000;
            until(due);
            clock.mono() - due
        })
        .collect();
    let used = thread_cpu() - before;
    late.sort_unstable();
    let micros = |share: f64| late[((count - 1) as f64 * share) as usize] as f64 / 1e3;
    println!(
        "{title:<44} {:>8.0} {:>8.0} {:>8.0} {:>8.1}",
        micros(0.5),
        micros(0.99),
        micros(1.0),
        used / count as f64 * 1e6
    );
}

fn thread_cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// The ways to wait, each with the kernel's usual slack and with none.
fn ways_to_wait() {
    println!("{:<44} {:>8} {:>8} {:>8} {:>8}", "waiting until the next millisecond", "p50", "p99", "max", "µs CPU");
    let clock = Clock::System;
    let alone = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    wait("tokio's timer", |due| alone.block_on(clock.sleep_until(due)));
    let left = |due: Mono| Timespec::try_from(due.since(Clock::System.mono())).unwrap();
    for slack in [50_000, 1] {
        nix::sys::prctl::set_timerslack(slack).unwrap();
        wait(&format!("clock_nanosleep, slack {slack} ns"), |due| clock.block_until(due));
        wait(&format!("ppoll, slack {slack} ns"), |due| {
            while clock.mono() < due {
                let _interrupted = rustix::event::poll(&mut [], Some(&left(due)));
            }
        });
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::empty()).unwrap();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&epoll, timer.as_fd(), epoll::EventData::new_u64(1), epoll::EventFlags::IN | epoll::EventFlags::ET)
            .unwrap();
        wait(&format!("a timerfd in an epoll, slack {slack} ns"), |due| {
            let at = Expiration::OneShot(TimeSpec::from_duration(clock.kernel_time(due)));
            timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME).unwrap();
            while clock.mono() < due {
                let _interrupted = epoll::wait(&epoll, &mut [const { std::mem::MaybeUninit::uninit() }; 4], None);
            }
        });
    }
    println!();
}

fn main() {
    // In a thread of its own, whose slack nobody inherits.
    std::thread::spawn(ways_to_wait).join().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("sent − due, in microseconds; the largest gap between two sends, in milliseconds; CPU of one core\n");
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7} {:>9}",
        "", "sent", "p50", "p99", "p99.9", "max", "gap", "stalls", "CPU"
    );
    runtime.block_on(async {
        measure("one workload, 100/s", &[100.0]).await;
        measure("one workload, 1,000/s", &[1000.0]).await;
        measure("one workload, 10,000/s", &[10_000.0]).await;
        measure("quickstart: 500, 50, 50 and 20/s", &[500.0, 50.0, 50.0, 20.0]).await;
    });
}
