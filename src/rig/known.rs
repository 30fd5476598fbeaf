//! The known outages: every way to be away, from a millisecond to seconds, and every lie of a store. The first fourteen
//! hold one of each kind, so that whoever has little time has seen most. Pure.

use super::drill::{Drill, Over, Visitor};
use super::script::{Play, Script, Spell};
use super::store::Lies;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SLOWLY: Visitor = Visitor { name: "slowly", rate: 20, client: "fresh", over: Over::Http };
const PAGE: Visitor = Visitor { name: "page", rate: 100, client: "fresh", over: Over::Http };
const KEPT: Visitor = Visitor { name: "kept", rate: 250, client: "pooled", over: Over::Http };
const TALK: Visitor = Visitor { name: "talk", rate: 100, client: "fresh", over: Over::Tcp };
const LINE: Visitor = Visitor { name: "line", rate: 250, client: "pooled", over: Over::Tcp };

/// Of a hundred drills, this one lasts a minute.
const LONG: usize = 62;

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

/// Plain TCP beside HTTP.
fn talk(name: &str, spells: &[(Play, u32)]) -> Drill {
    Drill { visitors: vec![SLOWLY, TALK, LINE], ..drill(name, spells) }
}

/// Plain TCP, HTTP and a ledger side by side.
fn all_sorts(name: &str, spell: (Play, u32)) -> Drill {
    Drill { visitors: vec![PAGE, TALK, LINE], ..ledger(name, spell, Lies::default()) }
}

/// All of them.
#[must_use]
pub fn known() -> Vec<Drill> {
    use Play::{BlackHole, Closed, Errors, Freeze, HalfOpen, Moves, Refuse, Router, Slow, Up};
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
        drill("name-moves-350ms", &[(Moves, 350)]),
        all_sorts("all-sorts-closed", (Closed, 450)),
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
        drill("name-moves-there-and-back", &[(Moves, 300), (Up, 400), (Moves, 1_200)]),
        talk("talk-refused-150ms", &[(Refuse, 150)]),
        talk("talk-flapping", &[(Freeze, 500), (Up, 500), (BlackHole, 300), (Up, 400), (Slow(400), 500)]),
        talk("talk-name-moves", &[(Moves, 500)]),
        all_sorts("all-sorts-frozen", (Freeze, 800)),
        drill("refuse-60s", &[(Refuse, 60_000)]),
    ];
    // Other rates for some, so that no result hangs on one period.
    for drill in all.iter_mut().skip(1).step_by(3) {
        drill.visitors.iter_mut().for_each(|visitor| visitor.rate = visitor.rate * 3 / 2);
    }
    all
}

/// Drill `number` of as many as one likes: any way to be away, any length from 1 ms to a minute, which is one of a hundred.
#[must_use]
pub fn endless(number: usize) -> Drill {
    let mut all = known();
    let (count, round) = (all.len(), number / all.len());
    let mut drill = all.swap_remove(number % count);
    if round > 0 && drill.writes == 0 {
        let plays = [Play::Refuse, Play::Closed, Play::Freeze, Play::BlackHole, Play::Moves];
        let millis = [1, 3, 10, 30, 90, 250, 700, 1_200, 1_800, 4_000, 9_000][(number * 7 + round) % 11];
        let long = number % 100 == LONG;
        let (play, millis) = if long { (plays[number / 100 % 5], 60_000) } else { (plays[round % 5], millis) };
        drill.script = Script(vec![Spell { play, lasting: millis * MS }]);
        drill.name = format!("known-{number}-{}-{millis}ms", play.word());
    } else {
        drill.name = format!("{}-{number}", drill.name);
    }
    drill
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_one_likes_hold_every_kind_and_length() {
        let all: Vec<Drill> = (0..500).map(endless).collect();
        let of = |fits: &dyn Fn(&Spell) -> bool| all.iter().filter(|drill| drill.script.0.iter().any(fits)).count();
        let minute = |spell: &Spell| spell.lasting == 60_000 * MS;
        let kinds: std::collections::HashSet<Play> = all
            .iter()
            .flat_map(|drill| &drill.script.0)
            .filter(|spell| minute(spell))
            .map(|spell| spell.play)
            .collect();
        assert!(kinds.len() >= 4 && (5..=8).contains(&of(&minute)), "{kinds:?}, {}", of(&minute));
        assert!(of(&|spell| spell.lasting == MS) > 10);
        assert!(of(&|spell| spell.play == Play::Moves) > 40);
        let talks = |drill: &&Drill| drill.visitors.iter().any(|visitor| visitor.over == Over::Tcp);
        assert!(all.iter().filter(talks).count() > 40);
        // A ledger has an address, and no name that could lead elsewhere.
        let moves = |drill: &&Drill| drill.script.0.iter().any(|spell| spell.play == Play::Moves);
        assert_eq!(all.iter().filter(moves).filter(|drill| drill.writes > 0).count(), 0);
    }
}
