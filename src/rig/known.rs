//! The known outages: every way to be away, from a millisecond to seconds, and every lie of a store. The first dozen
//! holds one of each kind, so that whoever has little time has seen most. Pure.

use super::drill::{Drill, Visitor};
use super::script::{Play, Script, Spell};
use super::store::Lies;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SLOWLY: Visitor = Visitor { name: "slowly", rate: 20, client: "fresh" };
const PAGE: Visitor = Visitor { name: "page", rate: 100, client: "fresh" };
const KEPT: Visitor = Visitor { name: "kept", rate: 250, client: "pooled" };

fn drill(name: &str, spells: &[(Play, u32)]) -> Drill {
    let spell = |(play, millis): &(Play, u32)| Spell { play: *play, lasting: *millis * MS };
    Drill {
        name: name.to_owned(),
        script: Script(spells.iter().map(spell).collect()),
        lies: Lies::default(),
        visitors: vec![SLOWLY, PAGE, KEPT],
        writes: 0,
        deadline: 200 * MS,
        stable: 1500 * MS,
    }
}

fn ledger(name: &str, spell: (Play, u32), lies: Lies) -> Drill {
    Drill { lies, writes: 150, visitors: vec![PAGE], ..drill(name, &[spell]) }
}

/// All of them.
#[must_use]
pub fn known() -> Vec<Drill> {
    use Play::{BlackHole, Closed, Errors, Freeze, HalfOpen, Refuse, Router, Slow, Up};
    let none = Lies::default();
    let mut all = vec![
        drill("refuse-150ms", &[(Refuse, 150)]),
        drill("freeze-350ms", &[(Freeze, 350)]),
        ledger("books-suffix-lost", (Closed, 300), Lies { lose_last_ms: 250, ..none }),
        drill("closed-400ms", &[(Closed, 400)]),
        drill("black-hole-300ms", &[(BlackHole, 300)]),
        drill("flapping-mixed", &[(Closed, 200), (Up, 400), (Freeze, 600), (Up, 400), (BlackHole, 300)]),
        drill("slow-beyond-deadline", &[(Slow(400), 900)]),
        ledger("books-twice", (Refuse, 200), Lies { duplicates: 30, corrupts: 45, ..none }),
        drill("errors-third", &[(Errors(3), 900)]),
        drill("half-open", &[(HalfOpen, 800)]),
        drill("router-keeps-the-dead", &[(Router, 700)]),
        drill("closed-5ms", &[(Closed, 5)]),
        ledger("books-made-up", (Refuse, 200), Lies { phantoms: 50, resurrects: 70, stale: 5, ..none }),
        drill("refuse-1ms", &[(Refuse, 1)]),
        drill("freeze-900ms", &[(Freeze, 900)]),
        drill("slow-below-deadline", &[(Slow(50), 800)]),
        ledger("books-holes", (Refuse, 200), Lies { holes: 40, ..none }),
        drill("flapping-refuse", &[(Refuse, 250), (Up, 300), (Refuse, 250), (Up, 300), (Refuse, 250)]),
        drill("one-into-the-other", &[(Closed, 300), (Refuse, 300), (Slow(500), 300)]),
        ledger("books-black-hole", (BlackHole, 500), none),
        drill("refuse-20ms", &[(Refuse, 20)]),
        drill("closed-60ms", &[(Closed, 60)]),
        drill("freeze-100ms", &[(Freeze, 100)]),
        ledger("books-late", (Refuse, 200), Lies { late: 60, ..none }),
        drill("refuse-700ms", &[(Refuse, 700)]),
        drill("flapping-freeze", &[(Freeze, 500), (Up, 600), (Freeze, 500)]),
        ledger("books-prefix-lost", (Closed, 200), Lies { lose_first: 40, ..none }),
        drill("errors-tenth", &[(Errors(10), 1_000)]),
        drill("black-hole-1500ms", &[(BlackHole, 1_500)]),
        ledger("books-frozen", (Freeze, 600), none),
        drill("closed-2s", &[(Closed, 2_000)]),
        drill("freeze-2500ms", &[(Freeze, 2_500)]),
        ledger("books-kept", (Refuse, 300), none),
        drill("twice", &[(Refuse, 300), (Up, 4_000), (Refuse, 300)]),
    ];
    // Other rates for some, so that no result hangs on one period.
    for drill in all.iter_mut().skip(1).step_by(3) {
        drill.visitors.iter_mut().for_each(|visitor| visitor.rate = visitor.rate * 3 / 2);
    }
    all
}

/// Drill `number` of as many as one likes: any way to be away, any length from 1 ms to a minute, the long ones rarely.
#[must_use]
pub fn endless(number: usize) -> Drill {
    let mut all = known();
    let (count, round) = (all.len(), number / all.len());
    let mut drill = all.swap_remove(number % count);
    if round > 0 && drill.writes == 0 {
        let play = [Play::Refuse, Play::Closed, Play::Freeze, Play::BlackHole][round % 4];
        let millis = [1, 3, 10, 30, 90, 250, 700, 1_800, 4_000, 9_000, 60_000][(number * 7 + round) % 11];
        let millis = if millis == 60_000 && !number.is_multiple_of(40) { 1_200 } else { millis };
        drill.script = Script(vec![Spell { play, lasting: millis * MS }]);
        drill.name = format!("known-{number}-{}-{millis}ms", play.word());
    } else {
        drill.name = format!("{}-{number}", drill.name);
    }
    drill
}
