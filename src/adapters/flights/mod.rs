//! Operations in flight with nothing between a schedule and the network: non-blocking sockets that belong to the thread
//! of the schedule, without a runtime, a task or a wake-up of another thread for an operation.
//! `poll` waits, `wire` carries operations over connections, `http1` and `talk` say what is said on them. When
//! operations are due, and how many may be in flight, is the sampler's business.

mod http1;
mod names;
mod poll;
mod slots;
mod talk;
mod wire;

pub use poll::Waker;

pub(super) use http1::Http1;
pub(super) use names::Place;
pub(super) use talk::Talking;
pub(super) use wire::{Behaviour, End, Heard, Talk, Wire};

use super::{Done, Operation};
use crate::model::Mono;

/// Operations that have ended.
pub type Ended = Vec<(Operation, Done)>;

/// A client whose operations are begun and looked after by one thread. Every operation that was begun ends within the
/// workload's time-out.
pub trait Flights: Send {
    /// Begins an operation; it may end at once.
    fn begin(&mut self, operation: Operation, ended: &mut Ended);
    /// Waits until something ends, until `until`, or until it is woken; it may return earlier.
    fn wait(&mut self, until: Option<Mono>, ended: &mut Ended);
    /// Operations that were begun and have not ended.
    fn in_flight(&self) -> usize;
    /// Wakes the thread that waits.
    fn waker(&self) -> Waker;
}
