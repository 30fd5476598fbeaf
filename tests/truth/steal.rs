//! Processor time that the machine's host took for others. Nobody in the machine sees when: a service that stood still for
//! it looks as if it had been out of service, and to its clients it was.

/// A drill that disagrees is run again where the host took more than this share meanwhile.
const MUCH: f64 = 0.01;
/// So often at most.
const AGAIN: u32 = 2;

/// What the host has taken so far, and all there was.
#[derive(Debug, Clone, Copy)]
struct Taken {
    stolen: u64,
    all: u64,
}

impl Taken {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap();
        let numbers = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
        let times: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal
        Self { stolen: times.get(7).copied().unwrap_or_default(), all: times.iter().take(8).sum() }
    }

    fn share_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.stolen.saturating_sub(before.stolen) as f64 / all as f64
    }
}

/// Does something; again, if it came to nothing good while the host took much.
pub fn undisturbed<T>(name: &str, is_good: impl Fn(&T) -> bool, mut attempt: impl FnMut() -> T) -> T {
    for _ in 0..AGAIN {
        let before = Taken::now();
        let came = attempt();
        let share = Taken::now().share_since(before);
        if is_good(&came) || share <= MUCH {
            return came;
        }
        println!("{name}: the host took {:.1} % of the processors: once more", share * 100.0);
    }
    attempt()
}

#[test]
fn what_is_wrong_on_a_quiet_machine_is_wrong() {
    let share = |stolen, all| Taken { stolen, all }.share_since(Taken { stolen: 10, all: 1000 });
    assert!(share(10, 2000) <= MUCH && share(100, 2000) > MUCH);
    assert!(Taken::now().all > 0);
}
