//! Operation by operation: what the runner wrote down beside what the rig wrote down about the same request. The
//! number of a visit holds the number of its operation in the schedule, so each finds the other.

use super::super::log::Fate;
use super::super::truth::Truth;
use super::{Check, Client, Judged, Measure, Op, Role};

/// An answer that comes so near to the time-out may have come in time or not.
const NEAR: i64 = 100_000_000;

/// A moment on the schedule is rounded by less, in nanoseconds.
const ROUNDED: i64 = 1_000;

/// What lies between our stamps and the rig's, in nanoseconds, of operations that were answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps {
    /// From due to sent: how late the schedule was.
    pub late: Vec<i64>,
    /// From sent to the rig having read the request.
    pub out: Vec<i64>,
    /// From the rig's answer to done.
    pub back: Vec<i64>,
}

impl Gaps {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.late.extend(&other.late);
        self.out.extend(&other.out);
        self.back.extend(&other.back);
    }
}

/// A request that reached the rig, and its operation.
struct Pair {
    op: Op,
    t: i64,
    out: i64,
    fate: Fate,
}

pub(super) fn judge(truth: &Truth, client: &Client, judged: &mut Judged) {
    let (pairs, strangers, unreached) = pairs(truth, client);
    let wrong: Vec<String> = pairs.iter().filter_map(|pair| contradiction(pair, client.timeout)).collect();
    let believed = unreached.iter().filter(|op| op.ok).count();
    let inside = wrong.is_empty() && strangers == 0 && believed == 0;
    let said = format!(
        "{} of {} operations contradict the rig ({}), {believed} are ok though they never reached it, and {strangers} \
         reached it that are in no record",
        wrong.len(),
        pairs.len(),
        wrong.first().map_or("", String::as_str)
    );
    judged.checks.push(Check { of: client.name.clone(), measure: Measure::Outcomes, inside, width: None, said });
    let untimely = untimely(client);
    let answered: Vec<&Pair> = pairs.iter().filter(|p| p.op.ok && p.fate == Fate::Served).collect();
    let outside =
        answered.iter().filter(|p| !(p.op.due <= p.op.sent && p.op.sent <= p.t && p.out <= p.op.done)).count();
    let said = format!(
        "{outside} of {} have a moment of the rig outside of ours, and {untimely} are not due when they should be",
        answered.len()
    );
    let inside = outside == 0 && untimely == 0;
    judged.checks.push(Check { of: client.name.clone(), measure: Measure::Stamps, inside, width: None, said });
    for pair in answered.iter().filter(|pair| truth.is_quiet(pair.op.due, client.timeout)) {
        judged.gaps.late.push(pair.op.sent - pair.op.due);
        judged.gaps.out.push(pair.t - pair.op.sent);
        judged.gaps.back.push(pair.op.done - pair.out);
    }
}

/// How many visits are not due where the rate says: each a period after the one before, whatever became of that.
fn untimely(client: &Client) -> usize {
    let Some(first) = client.ops.first().filter(|_| client.role == Role::Visitor) else { return 0 };
    let due = |k: usize| first.due + (k as f64 * 1e9 / client.rate).round() as i64;
    client.ops.iter().enumerate().filter(|(k, op)| (op.due - due(*k)).abs() > ROUNDED).count()
}

/// What reached the rig with its operation; how many requests have none; operations that never reached it.
fn pairs(truth: &Truth, client: &Client) -> (Vec<Pair>, usize, Vec<Op>) {
    let mut reached = vec![false; client.ops.len()];
    let (mut pairs, mut strangers) = (Vec::new(), 0);
    let mut add = |place: Option<usize>, t: i64, out: i64, fate: Fate| match place.filter(|p| *p < client.ops.len()) {
        Some(place) => {
            reached[place] = true;
            pairs.push(Pair { op: client.ops[place], t, out, fate });
        }
        None => strangers += 1,
    };
    match client.role {
        Role::Visitor => {
            for visit in truth.visits.get(&client.name).into_iter().flatten() {
                add(usize::try_from(visit.n & 0xFFFF_FFFF).ok(), visit.t, visit.out, visit.fate);
            }
        }
        Role::Ledger | Role::Books => {
            let places: std::collections::HashMap<_, usize> =
                client.ops.iter().zip(0..).filter_map(|(op, place)| Some((op.key?, place))).collect();
            for (key, write) in &truth.writes {
                add(places.get(key).copied(), write.t, write.out, write.fate);
            }
        }
    }
    let unreached = client.ops.iter().zip(&reached).filter(|(_, reached)| !**reached).map(|(op, _)| *op).collect();
    (pairs, strangers, unreached)
}

fn contradiction(pair: &Pair, timeout: i64) -> Option<String> {
    let took = pair.out - pair.op.sent;
    let answered = match pair.fate {
        Fate::Served if took < timeout - NEAR => true,
        Fate::Served if took < timeout + NEAR => return None,
        _ => false,
    };
    let says = |ok: bool| if ok { "acknowledged" } else { "not acknowledged" };
    (answered != pair.op.ok).then(|| format!("{} at {}, the rig: {:?}", says(pair.op.ok), pair.op.due, pair.fate))
}
