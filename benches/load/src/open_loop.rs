//! Requests at a constant rate, whatever the server does: what a user waits for, who doesn't ask less because others wait.

use crate::alarm::Alarm;
use crate::connections::Connections;
use crate::effort::Stopwatch;
use crate::{Effort, Latency, Patience};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use std::time::{Duration, Instant};

/// How long before a request is due the load wakes up and spins. Without, it was 40 us late in the median; who always spins is punished by the scheduler
/// for it as soon as there's anybody else, and was milliseconds late.
const SPIN: Duration = Duration::from_micros(50);
/// In requests per second; more than any core could send.
const FASTEST: f64 = 10e6;
/// How long what's in line at the end is still sent.
const GRACE: Duration = Duration::from_secs(1);
/// Whoever answers less of the rate didn't keep it.
const KEPT: f64 = 0.99;

/// Open connections that take turns, none of which has a request in flight between two [`run`](Self::run)s.
///
/// Request `i` is to be sent `i / rate` seconds after the beginning, over connection `i` modulo their number, and its latency begins then, whether or not it
/// could be sent. If the connection still waits for an answer, the request waits in line. So a server that stalls is charged with the wait of all who'd have asked
/// meanwhile (a closed loop omits them: "coordinated omission").
///
/// The thread sleeps until shortly before the next request is due, and wants a core of its own. Answers wake it up, as they'd wake up any client: that's in their latency.
#[derive(Debug)]
pub struct OpenLoop {
    connections: Connections,
    alarm: Alarm,
}

/// What a run brought.
#[derive(Clone, Debug)]
pub struct OpenOutcome {
    /// Requests per second that were to be sent.
    pub rate: f64,
    /// Requests that were sent, and answered.
    pub requests: u64,
    /// Those that still stood in line a second after the end; their latency isn't in the histogram, so that it's too low.
    pub unsent: u64,
    /// Answers per second, until the end of the duration.
    pub achieved: f64,
    /// From the time at which a request was to be sent, to the end of its answer.
    pub latency: Latency,
    /// How much too late the load sent requests that could be sent when they were due. It's in the latency, but not the server's fault.
    pub lateness: Latency,
    /// The longest time in which the load didn't look for answers, because it had others to see to or wasn't run.
    pub stall: Duration,
    /// What the load took itself, also for waiting: it spins for 50 us before each request.
    pub effort: Effort,
}

impl OpenOutcome {
    /// Whether at least 99 % of the rate was answered, and nothing was left.
    #[must_use]
    pub fn kept_rate(&self) -> bool {
        self.unsent == 0 && self.achieved >= KEPT * self.rate
    }
}

impl OpenLoop {
    /// Opens all connections, with the TLS handshakes and upgrades that they need.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time, or when there's to be none.
    pub fn connect(
        address: &Address,
        workload: Workload,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(connections > 0, "a rate needs at least one connection");
        let connections = Connections::open(address, workload, connections, patience)?;
        let alarm = Alarm::new(connections.registry()).context("cannot make a timer")?;
        Ok(Self { connections, alarm })
    }

    /// Asks at `rate` requests per second for `duration`, until all that was sent is answered.
    ///
    /// # Errors
    ///
    /// When the rate isn't between 0 and 10 million, a response is wrong, a connection ends, or the server is silent for too long. The connections are of no use then.
    pub fn run(&mut self, rate: f64, duration: Duration) -> anyhow::Result<OpenOutcome> {
        anyhow::ensure!(
            rate > 0.0 && rate <= FASTEST,
            "a rate of {rate} requests per second; it has to be more than 0 and at most {FASTEST}"
        );
        let stopwatch = Stopwatch::start();
        let schedule = Schedule {
            begun: stopwatch.begun(),
            interval: 1e9 / rate,
            end: stopwatch.begun() + duration,
            total: (rate * duration.as_secs_f64()).floor() as u64,
        };
        let mut run = Run::new(&mut self.connections, &self.alarm, schedule);
        run.go()?;
        let span = run.schedule.end.duration_since(run.schedule.begun).as_secs_f64();
        Ok(OpenOutcome {
            rate,
            requests: run.answered,
            unsent: run.next - run.answered,
            achieved: run.in_time as f64 / span,
            latency: run.latency,
            lateness: run.lateness,
            stall: run.stall,
            effort: stopwatch.read(),
        })
    }
}

/// When which request is to be sent: computed from its number each time, so that nothing adds up.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    begun: Instant,
    /// In nanoseconds.
    interval: f64,
    end: Instant,
    total: u64,
}

impl Schedule {
    fn due(&self, request: u64) -> Instant {
        self.begun + Duration::from_nanos((request as f64 * self.interval) as u64)
    }
}

struct Run<'a> {
    connections: &'a mut Connections,
    alarm: &'a Alarm,
    schedule: Schedule,
    lanes: Vec<Lane>,
    /// The first request that isn't due yet, and when it will be.
    next: u64,
    next_due: Instant,
    /// Whether nothing more is sent, not even what stands in line.
    closed: bool,
    in_flight: usize,
    answered: u64,
    /// Those that were answered before the end.
    in_time: u64,
    latency: Latency,
    lateness: Latency,
    stall: Duration,
}

/// A connection's line is all requests from `next` on, in steps of the number of connections, that are due: it needs no memory.
#[derive(Clone, Copy, Debug)]
struct Lane {
    next: u64,
    /// When the one in flight was due.
    in_flight: Option<Instant>,
}

impl<'a> Run<'a> {
    fn new(connections: &'a mut Connections, alarm: &'a Alarm, schedule: Schedule) -> Self {
        let lane = |next| Lane {
            next,
            in_flight: None,
        };
        Self {
            lanes: (0..connections.len() as u64).map(lane).collect(),
            connections,
            alarm,
            next: 0,
            next_due: schedule.due(0),
            schedule,
            closed: false,
            in_flight: 0,
            answered: 0,
            in_time: 0,
            latency: Latency::new(),
            lateness: Latency::new(),
            stall: Duration::ZERO,
        }
    }

    fn go(&mut self) -> anyhow::Result<()> {
        let mut looked = Instant::now();
        let mut heard = looked;
        loop {
            let now = self.send_due()?;
            if !self.closed && (self.connections.patience().is_over() || now >= self.schedule.end + GRACE) {
                self.closed = true;
                self.schedule.end = self.schedule.end.min(now);
            }
            // Who has nothing in flight has nobody in line.
            if self.in_flight == 0 && self.is_complete() {
                return Ok(());
            }
            let pause = self.pause(now)?;
            let timeout = if pause.is_zero() { pause } else { Patience::TICK };
            let is_woken = self.connections.wait(timeout)?;
            let woken = Instant::now();
            let stall = woken.duration_since(looked).saturating_sub(pause);
            self.stall = self.stall.max(stall);
            looked = woken;
            let answers = if is_woken { self.receive()? } else { 0 };
            if answers > 0 || self.in_flight == 0 {
                heard = woken;
            }
            self.connections.complain(woken.duration_since(heard))?;
        }
    }

    /// Whether nothing more becomes due.
    fn is_complete(&self) -> bool {
        self.closed || self.next >= self.schedule.total
    }

    /// Sends what's due where nothing is in flight; gives the time at which nothing more was due.
    fn send_due(&mut self) -> anyhow::Result<Instant> {
        loop {
            let now = Instant::now();
            if self.is_complete() || self.next_due > now {
                return Ok(now);
            }
            let index = (self.next % self.lanes.len() as u64) as usize;
            if self.lanes[index].in_flight.is_none() {
                self.lateness.record(now.duration_since(self.next_due));
                self.send(index)?;
            }
            self.next += 1;
            self.next_due = self.schedule.due(self.next);
        }
    }

    /// How long there's nothing to do but to wait for answers; the alarm goes off after that.
    fn pause(&self, now: Instant) -> anyhow::Result<Duration> {
        if self.is_complete() {
            return Ok(Patience::TICK);
        }
        let left = self.next_due.saturating_duration_since(now);
        let pause = left.saturating_sub(SPIN).min(Patience::TICK);
        if !pause.is_zero() {
            self.alarm.set(pause).context("cannot set a timer")?;
        }
        Ok(pause)
    }

    /// Reads what's there; gives the number of answers.
    fn receive(&mut self) -> anyhow::Result<usize> {
        let mut all = 0;
        let events = self.connections.take_events();
        for event in events.iter().filter(|event| event.token() != Alarm::TOKEN) {
            let (index, answers) = self.connections.handle(event)?;
            if answers == 0 {
                continue;
            }
            all += answers;
            let now = Instant::now();
            if let Some(due) = self.lanes[index].in_flight.take() {
                self.latency.record(now.saturating_duration_since(due));
                self.in_flight -= 1;
                self.answered += 1;
                self.in_time += u64::from(now <= self.schedule.end);
            }
            if self.lanes[index].next < self.next && !self.closed {
                self.send(index)?;
            }
            // What's due doesn't wait until all answers are read.
            if self.next_due <= now {
                self.send_due()?;
            }
        }
        self.connections.put_back(events);
        Ok(all)
    }

    fn send(&mut self, index: usize) -> anyhow::Result<()> {
        let step = self.lanes.len() as u64;
        let lane = &mut self.lanes[index];
        lane.in_flight = Some(self.schedule.due(lane.next));
        lane.next += step;
        self.in_flight += 1;
        self.connections.send(index, 1)
    }
}
