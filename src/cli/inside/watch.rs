//! The guardian's pod: `blackstart guardian --from-cluster NAMESPACE/LEASE`. When it must act is decided in
//! [`crate::exec::inside`]; what it then heals from are the records in the cluster, as for `recover --from-cluster`.

use super::super::run::runtime;
use super::super::{Complaint, Exit, Terminal};
use super::held::{seat, sitter};
use crate::adapters::kubernetes::{self, Access};
use crate::adapters::{Fut, World};
use crate::exec::inside::{Guarded, Healing, SeatError, guard};
use crate::exec::{self, InCluster, Limits, Runner, Silent, StopSignal};
use crate::model::RunId;
use crate::report::words;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Watches until the run is over; heals in its place if it must.
///
/// # Errors
/// When it cannot watch.
pub fn watch(lease: &str, homes: &[String], wait: Duration, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let (seat, runtime, world) = (seat(lease)?, runtime()?, World::system());
    let refused = |why: String| Complaint::new(Exit::Preflight, why);
    let own = [seat.namespace.clone()];
    let homes = if homes.is_empty() { own.as_slice() } else { homes };
    // Records were written by another pod: every way in them leads to this pod's own account.
    let there = World { clusters: kubernetes::redirected(Access::default()), ..World::system() };
    let healer = Healer { world: &there, homes };
    let guarded = runtime.block_on(async {
        let stop = StopSignal::new();
        stop.listen().map_err(|e| refused(format!("cannot listen to signals: {e}")))?;
        let cluster = world.clusters.open(&Access::default()).await.map_err(|e| refused(e.to_string()))?;
        guard(&world.clock, cluster, (&seat, &sitter(), wait), (&stop, &healer)).await.map_err(|why| match why {
            SeatError::Taken(..) => Complaint::new(Exit::NotRun, why.to_string()),
            _ => refused(why.to_string()),
        })
    });
    runtime.shutdown_background();
    match guarded? {
        Guarded::Released => {
            terminal.say("the run is over and nothing of it is open");
            Ok(Exit::Pass)
        }
        Guarded::Nobody => {
            terminal.say("no runner came");
            Ok(Exit::Pass)
        }
        Guarded::TookOver(Ok(_)) => Ok(Exit::Pass),
        Guarded::TookOver(Err(why)) => {
            Err(Complaint::new(Exit::NotHealed, why).mend("blackstart recover --from-cluster"))
        }
    }
}

struct Healer<'a> {
    world: &'a World,
    homes: &'a [String],
}

impl Healing for Healer<'_> {
    fn heal<'a>(&'a self, run: &'a RunId) -> Fut<'a, Result<String, String>> {
        Box::pin(async move {
            let (mut healed, mut open) = (Vec::new(), Vec::new());
            for home in self.homes {
                let what = InCluster { namespace: Some(home.clone()), run: Some(run.clone()), runner: Runner::Gone };
                let limits = Limits::default();
                match exec::recover_from_cluster(&what, self.world, &limits, Arc::new(Silent)).await {
                    Ok(left) => {
                        for run in left.runs {
                            healed.extend(run.healed.iter().map(ToString::to_string));
                            open.extend(run.open.iter().map(|open| format!("`{}`: {}", open.fault, open.why)));
                            open.extend(run.error);
                        }
                    }
                    Err(why) => open.push(format!("{home}: {why}")),
                }
            }
            match (healed.as_slice(), open.as_slice()) {
                ([], []) => Ok("nothing was open".to_owned()),
                (healed, []) => Ok(format!("healed {}", healed.join(", "))),
                (_, open) => Err(open.join("; ")),
            }
        })
    }

    fn say(&self, text: &str) {
        // A log that nobody takes is no reason to leave a fault open.
        drop(writeln!(std::io::stdout().lock(), "{}", words::clean(text)));
    }
}
