//! Waiting for many sockets and for a moment at once, to the nanosecond: epoll with a timer of its own.

use crate::clock::Clock;
use crate::model::Mono;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rustix::event::epoll::{self, CreateFlags, EventData};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

pub(super) use rustix::event::epoll::EventFlags;

/// Events taken from the kernel at once.
const BATCH: usize = 256;
/// Events taken while an operation waits to be sent: some microseconds' work.
const GLANCE: usize = 16;
/// The timer and the waker are no sockets; their news says nothing but that the wait is over.
const TIMER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// Ends a wait from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// One that nobody waits for yet.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Wakes it.
    pub fn wake(&self) {
        // It fails only when it was woken 2⁶⁴ times.
        let _full = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// What is waited for.
pub(super) struct Poll {
    epoll: OwnedFd,
    timer: TimerFd,
    waker: Waker,
    armed: Option<Mono>,
    news: Vec<News>,
}

/// A socket about which there is news.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    /// As it was added.
    pub token: u64,
    /// What is new.
    pub flags: EventFlags,
}

impl Poll {
    /// Waits for nothing yet.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let waker = Waker::new()?;
        // Edges: neither has to be read to be waited for again.
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, timer.as_fd(), EventData::new_u64(TIMER), edge)?;
        epoll::add(&epoll, &*waker.0, EventData::new_u64(WAKE), edge)?;
        Ok(Self { epoll, timer, waker, armed: None, news: Vec::with_capacity(BATCH) })
    }

    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// From now on there is news of this socket, once for each change.
    pub fn add(&self, socket: impl AsFd, token: u64, what: EventFlags) -> io::Result<()> {
        let flags = what | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), flags)?)
    }

    /// There is news of other things of this socket.
    pub fn change(&self, socket: impl AsFd, token: u64, what: EventFlags) -> io::Result<()> {
        let flags = what | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token), flags)?)
    }

    /// Waits for news of any socket, for `until`, or for the waker.
    pub fn wait(&mut self, clock: &Clock, until: Option<Mono>) {
        self.news.clear();
        let timeout = match until {
            Some(until) if until <= clock.mono() => Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
            Some(until) => self.arm(clock, until),
            None => None,
        };
        self.take::<BATCH>(timeout.as_ref());
    }

    /// Takes a little of the news that is there already, and waits for none.
    pub fn glance(&mut self) {
        self.news.clear();
        self.take::<GLANCE>(Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    }

    fn take<const MOST: usize>(&mut self, timeout: Option<&Timespec>) {
        // An interrupted wait returns early, which the caller may expect anyway.
        let mut events = [const { MaybeUninit::uninit() }; MOST];
        if let Ok((events, _)) = epoll::wait(&self.epoll, &mut events, timeout) {
            self.news.extend(events.iter().map(|event| News { token: event.data.u64(), flags: event.flags }));
        }
    }

    /// The timer rings at `until`; without a timer the wait is a rounded one.
    fn arm(&mut self, clock: &Clock, until: Mono) -> Option<Timespec> {
        if self.armed == Some(until) {
            return None;
        }
        let at = Expiration::OneShot(TimeSpec::from_duration(clock.kernel_time(until)));
        if self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME).is_ok() {
            self.armed = Some(until);
            return None;
        }
        Some(Timespec { tv_sec: 0, tv_nsec: 1_000_000 })
    }

    /// The news of the last wait or glance, by its number; none after the last.
    pub fn news(&self, number: usize) -> Option<News> {
        self.news.get(number).copied()
    }
}
