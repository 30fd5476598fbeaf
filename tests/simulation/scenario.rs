//! What happens in a simulated drill, decided by a seed: which fault, how the system answers, what else goes wrong, and
//! the playbook that goes with it.

use blackstart::sim::{Disturbance, Lies, Rng, Settings, Weather};
use std::time::Duration;

/// The deadline of every workload here.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// How long service must hold to count as sustained.
pub const STABLE: Duration = Duration::from_secs(3);

/// What the drill does to the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, for so long.
    Pause(Duration),
}

/// A drill and its world.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub settings: Settings,
    pub fault: Fault,
    /// Writes a second.
    pub orders: u64,
    /// Visits a second.
    pub page: u64,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let page = rng.pick(&[20, 37, 50, 100]);
        let fault = if rng.chance(60) { Fault::Kill } else { Fault::Pause(rng.millis(1_500, 6_000)) };
        let disturbed = rng.chance(50);
        let lying = rng.chance(15);
        let mut percent = |most| if lying { rng.below(most) } else { 0 };
        let lies = Lies { drops: percent(4), duplicates: percent(4), corrupts: percent(4), resurrects: percent(50) };
        let settings = Settings {
            seed,
            lag: rng.pick(&[0, 50, 300, 1_000]).pipe(Duration::from_millis),
            check_every: rng.millis(120, 300),
            failures: if rng.chance(80) { Some(2 + u32::try_from(rng.below(8)).unwrap()) } else { None },
            restart: rng.millis(200, 3_000),
            disturbances: if disturbed { weather(&mut rng, page) } else { Vec::new() },
            lies,
        };
        Self { settings, fault, orders: rng.pick(&[20, 50, 100]), page }
    }

    /// Is there anything that takes longer than the deadline without being down?
    pub fn is_slow(&self) -> bool {
        self.settings.disturbances.iter().any(|d| matches!(d.weather, Weather::Slow(_)))
    }

    /// The playbook.
    pub fn playbook(&self) -> String {
        let Self { orders, page, .. } = self;
        let (outage, restore) = match self.fault {
            Fault::Kill => (
                "inject: {process_kill: {target: leader, back: {command: [start]}, alive: standby}}\n    deadline: 2m",
                "- {id: rejoin, run: {command: [start]}, within: 40s, closes: fault}".to_owned(),
            ),
            Fault::Pause(lasting) => (
                "inject: {process_pause: {target: leader}}\n    deadline: 2m",
                format!("- {{id: hold, wait: {}ms}}\n  - {{id: thaw, heal: fault}}", lasting.as_millis()),
            ),
        };
        format!(
            r#"
drill: simulated
environment: embedded
objectives: {{rto: 30s, rpo: {{time: 10s, writes: 10000}}}}
targets:
  store:   {{kv: {{url: "http://127.0.0.1:17400"}}}}
  leader:  {{process: {{command: [pid, leader]}}}}
  standby: {{process: {{command: [pid, standby]}}}}
workload:
  orders:
    ledger: {{target: store, rate: {orders}/s, writers: 4, payload: 16B, read_rate: 5/s, timeout: 3s}}
    service: {{availability: 100%, deadline: 1s, stable: 3s}}
  page:
    http: {{url: "http://127.0.0.1:17400/?nonce={{nonce}}", rate: {page}/s, timeout: 3s, client: fresh}}
    service: {{availability: 100%, deadline: 1s, stable: 3s}}
guards: [{{max_duration: 5m}}]
baseline: 2s
outage:
  - id: fault
    {outage}
restore:
  {restore}
"#
        )
    }
}

/// Flaps, freezes and slow spells, one after another. Each is long enough that operations fall into it and into the gap
/// before the next, and no gap is about as long as service must hold: what nobody can see cannot be demanded.
fn weather(rng: &mut Rng, page: u64) -> Vec<Disturbance> {
    let period = 1_000 / page + 1;
    let mut after = rng.millis(0, 4_000);
    (0..=rng.below(4))
        .map(|_| {
            let (weather, lasting) = match rng.below(4) {
                0 => (Weather::Hanging, rng.pick(&[rng.clone().millis(1_200, 4_500), rng.clone().millis(50, 700)])),
                1 => (Weather::Slow(rng.millis(1_300, 2_500)), rng.millis(8 * period, 2_000)),
                2 => (Weather::Slow(rng.millis(10, 600)), rng.millis(8 * period, 2_000)),
                _ => (Weather::Refusing, rng.millis(8 * period, 3_000)),
            };
            let disturbance = Disturbance { after, lasting, weather };
            let gap = if rng.chance(75) { rng.millis(8 * period, 1_500) } else { rng.millis(5_500, 7_000) };
            after += lasting + gap;
            disturbance
        })
        .collect()
}

trait Pipe: Sized {
    fn pipe<T>(self, to: impl FnOnce(Self) -> T) -> T {
        to(self)
    }
}

impl Pipe for u64 {}
