//! The race of the attempts (RFC 8305, sections 3 to 5).
use crate::{
    Answer, ConnectError, Resolve,
    candidates::Candidates,
    connect::Setup,
    error::{Attempt, History, LookupFailure, Reason},
    family::Family,
    family_memory::FamilyMemory,
    happy_eyeballs::Config,
    name::{Host, Name},
    wake_up::WakeUp,
};
use anyport_core::transport::{Connector, Target};
use futures_core::Stream;
use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// The least age of an attempt that is given up for another. TCP sends its SYN again after 1 s, and
/// has waited 2 s for an answer then (RFC 6298).
const MIN_ATTEMPT: Duration = Duration::from_secs(3);

/// How many answers of a resolver are read, because its stream may never end.
const MAX_ANSWERS: usize = 64;

pub(crate) struct Race<C: Connector, R: Resolve> {
    connector: C,
    config: Config,
    name: Name,
    memory: FamilyMemory,
    wake_up: WakeUp,
    begin: Instant,
    lookup: Lookup<R>,
    candidates: Candidates,
    /// The family by which the host was reached last.
    preferred: Option<Family>,
    /// The end of the resolution delay, from the first address on.
    resolution_ends: Option<Instant>,
    /// When the next attempt is due.
    next_attempt: Instant,
    in_flight: Vec<InFlight<C>>,
    attempts: Vec<Attempt>,
}

struct Lookup<R: Resolve> {
    /// `None` after its end.
    answers: Option<Pin<Box<R::Answers>>>,
    /// How many answers came.
    count: usize,
    /// The result for each family. `None`: no answer yet.
    results: [Option<Result<(), LookupFailure>>; 2],
}

struct InFlight<C: Connector> {
    /// The index of its [`Attempt`].
    attempt: usize,
    started: Instant,
    connecting: Pin<Box<C::Connecting>>,
}

/// The address that connected first.
pub(crate) struct Won<C: Connector> {
    pub(crate) address: SocketAddr,
    pub(crate) handshake: C::Handshake,
}

impl<C: Connector, R: Resolve> Race<C, R> {
    pub(crate) fn new(setup: Setup<C, R>) -> Self {
        let wake_up = WakeUp::new(setup.timer, setup.config.deadline);
        let begin = wake_up.now();
        let mut candidates = Candidates::new(setup.config.max_addresses, setup.source);
        let (lookup, preferred) = match &setup.name.host {
            Host::Name(host) => {
                let answers = setup.resolver.resolve(host);
                (Lookup::new(answers), setup.memory.get(host, begin))
            }
            Host::Localhost(_) => {
                candidates.add([Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
                (Lookup::none(), None)
            }
            Host::Address(address) => {
                candidates.add_literal(*address);
                (Lookup::none(), None)
            }
        };
        Self {
            connector: setup.connector,
            config: setup.config,
            name: setup.name,
            memory: setup.memory,
            wake_up,
            begin,
            lookup,
            candidates,
            preferred,
            resolution_ends: None,
            next_attempt: begin,
            in_flight: Vec::new(),
            attempts: Vec::new(),
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.config.deadline
    }

    /// Ready with the first address that connects.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Won<C>, Reason>> {
        loop {
            let now = self.wake_up.now();
            self.poll_lookup(now, cx);
            if let Some(won) = self.poll_attempts(now, cx) {
                return Poll::Ready(Ok(won));
            }
            if self.wake_up.is_past_deadline(now) {
                return Poll::Ready(Err(Reason::Deadline(self.config.deadline)));
            }
            let next = loop {
                match self.next_attempt() {
                    Some(at) if at <= now => {}
                    next => break next,
                }
                if let Some(won) = self.start(now, cx) {
                    return Poll::Ready(Ok(won));
                }
            };
            if self.is_over() {
                let reason = match self.attempts.is_empty() {
                    true => Reason::NoAddress,
                    false => Reason::AllFailed,
                };
                return Poll::Ready(Err(reason));
            }
            ready!(self.wake_up.poll_until(next, cx));
        }
    }

    fn poll_lookup(&mut self, now: Instant, cx: &mut Context<'_>) {
        while let Some(answer) = self.lookup.poll(cx) {
            let (family, addresses) = match answer {
                Answer::Aaaa(answer) => (Family::V6, answer.map(into_addresses)),
                Answer::A(answer) => (Family::V4, answer.map(into_addresses)),
            };
            let result = match addresses {
                Ok(addresses) => match self.candidates.add(addresses) {
                    true => Ok(()),
                    false => Err(LookupFailure::Empty),
                },
                Err(error) => Err(LookupFailure::Error(error)),
            };
            self.lookup.record(family, result);
            if self.resolution_ends.is_none() && !self.candidates.is_empty() {
                self.resolution_ends = now.checked_add(self.config.resolution_delay);
            }
        }
    }

    /// Polls the attempts in flight, the oldest first.
    fn poll_attempts(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<Won<C>> {
        let mut index = 0;
        while let Some(attempt) = self.in_flight.get_mut(index) {
            match attempt.connecting.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(result) => {
                    let ended = self.in_flight.remove(index);
                    let won = self.end(&ended, result, now);
                    if won.is_some() {
                        return won;
                    }
                }
            }
        }
        None
    }

    /// When the next attempt begins; `None` while that does not depend on time.
    fn next_attempt(&self) -> Option<Instant> {
        if self.candidates.is_empty() || self.attempts.len() >= self.config.max_addresses {
            return None;
        }
        if self.attempts.is_empty() {
            // RFC 8305, section 3: the addresses that are known wait for those of the other family.
            let first = self.preferred.unwrap_or(Family::V6);
            let is_awaited = self.lookup.awaits(first);
            return if is_awaited {
                self.resolution_ends
            } else {
                Some(self.begin)
            };
        }
        if self.in_flight.len() < self.config.max_in_flight {
            return Some(self.next_attempt);
        }
        let oldest = self.in_flight.first()?;
        let replaceable_at = oldest.started.checked_add(MIN_ATTEMPT)?;
        Some(replaceable_at.max(self.next_attempt))
    }

    /// Begins the next attempt.
    fn start(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<Won<C>> {
        if self.in_flight.len() >= self.config.max_in_flight {
            let oldest = self.in_flight.remove(0);
            let lasted = now.saturating_duration_since(oldest.started);
            self.attempts[oldest.attempt].lasted = Some(lasted);
        }
        let address = SocketAddr::new(self.candidates.next(self.preferred)?, self.name.port);
        let mut target = Target::new(address);
        if let Some(host) = self.name.host.server_name() {
            target = target.with_host(host);
        }
        let mut attempt = InFlight::<C> {
            attempt: self.attempts.len(),
            started: now,
            connecting: Box::pin(self.connector.connect(&target)),
        };
        self.attempts.push(Attempt {
            address,
            started: now.saturating_duration_since(self.begin),
            lasted: None,
            error: None,
        });
        self.next_attempt = now + self.config.attempt_delay;
        match attempt.connecting.as_mut().poll(cx) {
            Poll::Ready(result) => self.end(&attempt, result, now),
            Poll::Pending => {
                self.in_flight.push(attempt);
                None
            }
        }
    }

    /// An attempt has ended. After a failure, the next one is due.
    fn end(
        &mut self,
        ended: &InFlight<C>,
        result: io::Result<C::Handshake>,
        now: Instant,
    ) -> Option<Won<C>> {
        let attempt = &mut self.attempts[ended.attempt];
        attempt.lasted = Some(now.saturating_duration_since(ended.started));
        let address = attempt.address;
        match result {
            Ok(handshake) => {
                if let (Host::Name(host), true) = (&self.name.host, self.candidates.had_both()) {
                    self.memory.set(host, Family::of(address.ip()), now);
                }
                Some(Won { address, handshake })
            }
            Err(error) => {
                attempt.error = Some(error);
                self.next_attempt = now;
                None
            }
        }
    }

    /// Nothing is in flight, and nothing is left to try.
    fn is_over(&self) -> bool {
        let is_exhausted = self.lookup.answers.is_none() && self.candidates.is_empty();
        let is_limited = self.attempts.len() >= self.config.max_addresses;
        self.in_flight.is_empty() && (is_exhausted || is_limited)
    }

    pub(crate) fn into_error(self, reason: Reason) -> ConnectError {
        let (name, history, _) = self.into_parts();
        ConnectError::new(name, reason, history)
    }

    /// The name, what happened, and the timer. The lookup and the attempts in flight are dropped.
    pub(crate) fn into_parts(mut self) -> (Name, History, WakeUp) {
        let now = self.wake_up.now();
        for pending in &self.in_flight {
            let lasted = now.saturating_duration_since(pending.started);
            self.attempts[pending.attempt].lasted = Some(lasted);
        }
        let lookups = match &self.name.host {
            Host::Name(_) => self.lookup.into_failures(),
            Host::Address(_) | Host::Localhost(_) => Vec::new(),
        };
        let history = History {
            attempts: self.attempts,
            lookups,
            untried: self.candidates.untried(),
        };
        (self.name, history, self.wake_up)
    }
}

fn into_addresses<A: Into<IpAddr>>(addresses: Vec<A>) -> Vec<IpAddr> {
    addresses.into_iter().map(Into::into).collect()
}

impl<R: Resolve> Lookup<R> {
    fn new(answers: R::Answers) -> Self {
        Self {
            answers: Some(Box::pin(answers)),
            ..Self::none()
        }
    }

    fn none() -> Self {
        Self {
            answers: None,
            count: 0,
            results: [None, None],
        }
    }

    /// The next answer, if there is one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Answer> {
        match self.answers.as_mut()?.as_mut().poll_next(cx) {
            Poll::Ready(Some(answer)) if self.count < MAX_ANSWERS => {
                self.count += 1;
                Some(answer)
            }
            Poll::Ready(_) => {
                self.answers = None;
                None
            }
            Poll::Pending => None,
        }
    }

    /// One answer with addresses is a success, whatever the other answers for the family are.
    fn record(&mut self, family: Family, result: Result<(), LookupFailure>) {
        let known = &mut self.results[family.index()];
        if !matches!(known, Some(Ok(()))) {
            *known = Some(result);
        }
    }

    /// Whether there is no answer for this family yet, and one may still come.
    fn awaits(&self, family: Family) -> bool {
        self.answers.is_some() && self.results[family.index()].is_none()
    }

    fn into_failures(self) -> Vec<(Family, LookupFailure)> {
        let results = Family::BOTH.into_iter().zip(self.results);
        let failures = results.filter_map(|(family, result)| match result {
            Some(Ok(())) => None,
            Some(Err(failure)) => Some((family, failure)),
            None => Some((family, LookupFailure::Missing)),
        });
        failures.collect()
    }
}
