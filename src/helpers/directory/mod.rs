//! File operations for a runner that must never hang in one: orders come in on standard input, a thread for each slot
//! carries them out, answers go to standard output. It ends when its input does; what is stuck in the kernel then ends with
//! it, as soon as the kernel lets go.

use super::Ready;
use crate::adapters::data::directory;
use crate::adapters::directory::wire::{Answer, Order, Place, READY, SLOTS, Said, What};
use group::Group;
use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use writer::Writer;

mod group;
mod look;
mod read;
mod tidy;
mod writer;

/// Answers that wait to be written.
const QUEUE: usize = 4_096;
/// The stack of a slot's thread: it does little, and there may be thousands.
const STACK: usize = 256 << 10;

/// What the threads share.
struct Shared {
    place: Place,
    group: Group,
    answers: SyncSender<Option<Answer>>,
}

impl Shared {
    fn say(&self, id: u64, said: Said) {
        // Nobody may be listening any more.
        let _gone = self.answers.send(Some(Answer { id, said }));
    }
}

/// Takes orders until there are no more.
pub(super) fn helper(_name: &str, ready: Ready<'_>) -> Result<(), String> {
    // As many files as may be had: each writer and each visit has one.
    let _as_wide = crate::adapters::allow_descriptors(65_536);
    let mut lines = std::io::BufReader::new(std::io::stdin()).lines();
    let first = lines.next().ok_or("nothing was said")?.map_err(|e| e.to_string())?;
    let place: Place = serde_json::from_str(&first).map_err(|e| e.to_string())?;
    let (answers, said) = sync_channel(QUEUE);
    ready(READY);
    let shared = Arc::new(Shared { group: Group::default(), place, answers });
    let reader = move || {
        let answers = shared.answers.clone();
        dispatch(lines, &shared);
        let _gone = answers.send(None);
    };
    std::thread::Builder::new().spawn(reader).map_err(|e| e.to_string())?;
    write_answers(&said, ready)
}

/// Until the last order's end: threads that are stuck are not waited for.
fn write_answers(said: &Receiver<Option<Answer>>, ready: Ready<'_>) -> Result<(), String> {
    while let Ok(Some(answer)) = said.recv() {
        ready(&serde_json::to_string(&answer).map_err(|e| e.to_string())?);
    }
    Ok(())
}

/// Hands each order to its slot's thread.
fn dispatch(lines: impl Iterator<Item = std::io::Result<String>>, shared: &Arc<Shared>) {
    let mut slots: HashMap<u32, Sender<Order>> = HashMap::new();
    for line in lines {
        let Ok(line) = line else { return };
        let Ok(order) = serde_json::from_str::<Order>(&line) else { return };
        if order.slot >= SLOTS {
            continue;
        }
        let slot = slots.entry(order.slot).or_insert_with(|| slot(Arc::clone(shared)));
        // A thread that could not be started: the order is never answered, and given up in time.
        let _no_thread = slot.send(order);
    }
}

fn slot(shared: Arc<Shared>) -> Sender<Order> {
    let (orders, queue) = channel::<Order>();
    let work = move || {
        let mut writer = Writer::default();
        while let Ok(order) = queue.recv() {
            carry_out(order, &mut writer, &shared);
        }
    };
    // Without a thread the channel has no end that listens.
    let _started = std::thread::Builder::new().stack_size(STACK).spawn(work);
    orders
}

fn carry_out(Order { id, slot, what }: Order, writer: &mut Writer, shared: &Shared) {
    let place = &shared.place;
    let said = match what {
        What::Prepare { need } => tidy::prepare(place, need).map_or_else(Said::Refused, |()| Said::Done(None)),
        What::Write { key, attempt, line } => {
            let done = writer.write(place, &shared.group, key, attempt, &line);
            done.map_or_else(Said::Failed, |spot| Said::Done(Some(spot)))
        }
        What::Read { key, spot } => read::one(place, key, spot.as_ref()).map_or_else(Said::Refused, Said::Found),
        What::Visit { number } => writer::visit(place, slot, number).map_or_else(Said::Failed, |()| Said::Done(None)),
        What::ReadBack => {
            let done = read::all(place, &mut |entries| shared.say(id, Said::Lines(entries)));
            done.map_or_else(Said::Refused, |()| Said::Done(None))
        }
        What::Fingerprint(asked) => directory::take(&asked).map_or_else(Said::Refused, Said::Taken),
        What::Look(ask) => look::look(&place.path, &ask).map_or_else(Said::Refused, Said::from),
    };
    shared.say(id, said);
}
