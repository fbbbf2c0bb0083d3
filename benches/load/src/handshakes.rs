//! New connections, each of which makes a TLS handshake and goes: as many as the server can bear.

use crate::amount::Budget;
use crate::effort::Stopwatch;
use crate::{Amount, Effort, Patience, socket, tls};
use anyhow::Context as _;
use anyport_bench_child::Address;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use rustls::client::{ClientConnection, Resumption};
use rustls::{ClientConfig, HandshakeKind};
use socket2::Socket;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Instant;

/// How a handshake begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// With nothing known: the server signs.
    Full,
    /// With a ticket of an earlier connection (RFC 8446 2.2), and a new key exchange: nobody signs.
    Resumed,
}

/// Connections that are made at once, each followed by the next.
#[derive(Debug)]
pub struct Handshakes {
    poll: Poll,
    events: Events,
    address: Address,
    handshake: Handshake,
    lanes: Vec<Lane>,
    patience: Patience,
}

/// What a run brought.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeOutcome {
    /// Those that were finished: all that were begun.
    pub handshakes: u64,
    /// What the load took itself.
    pub effort: Effort,
}

/// Where one connection follows another.
#[derive(Debug)]
struct Lane {
    /// Holds this lane's tickets, so that no other lane takes them.
    config: Arc<ClientConfig>,
    current: Option<(Socket, Box<ClientConnection>)>,
}

impl Handshakes {
    /// Looks whether the server makes such handshakes, which for resumed ones takes a full one to
    /// begin with, in each lane.
    ///
    /// # Errors
    ///
    /// When it doesn't.
    pub fn new(
        address: &Address,
        lanes: usize,
        handshake: Handshake,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        /// More than a server gives out at once, which is two by default.
        const TICKETS: usize = 8;
        let lane = |_| {
            let resumption = match handshake {
                Handshake::Full => Resumption::disabled(),
                Handshake::Resumed => Resumption::in_memory_sessions(TICKETS),
            };
            let config = tls::config(resumption, tls::HTTP_1_1)?;
            let current = None;
            Ok(Lane { config, current })
        };
        let mut handshakes = Self {
            poll: Poll::new().context("cannot make a poller")?,
            events: Events::with_capacity(lanes.max(1)),
            address: address.clone(),
            handshake: Handshake::Full,
            lanes: (0..lanes).map(lane).collect::<anyhow::Result<_>>()?,
            patience: patience.clone(),
        };
        handshakes.run(Amount::Requests(lanes as u64))?;
        handshakes.handshake = handshake;
        Ok(handshakes)
    }

    /// Makes handshakes, of which each counts when the server has sent its tickets, which it does
    /// once it has verified what the client sent last; what's begun in time is finished.
    ///
    /// # Errors
    ///
    /// When a handshake fails or is of the other kind, when there's no ticket, or when the server
    /// is silent for too long.
    pub fn run(&mut self, amount: Amount) -> anyhow::Result<HandshakeOutcome> {
        let stopwatch = Stopwatch::start();
        let mut budget = Budget::new(amount, &self.patience);
        let mut under_way = 0_u64;
        for index in 0..self.lanes.len() {
            if budget.take(1) > 0 {
                self.begin(index)?;
                under_way += 1;
            }
        }
        let mut handshakes = 0;
        let mut heard = Instant::now();
        while under_way > 0 {
            self.patience.check()?;
            match self.poll.poll(&mut self.events, Some(Patience::TICK)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                Ok(()) if !self.events.is_empty() => heard = Instant::now(),
                _ => self.complain(heard)?,
            }
            budget.look_at(heard);
            let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
            for event in &events {
                let Token(index) = event.token();
                if self.go_on(index)? {
                    handshakes += 1;
                    if budget.take(1) > 0 {
                        self.begin(index)?;
                    } else {
                        under_way -= 1;
                    }
                }
            }
            self.events = events;
        }
        Ok(HandshakeOutcome {
            handshakes,
            effort: stopwatch.read(),
        })
    }

    fn complain(&self, heard: Instant) -> anyhow::Result<()> {
        let silence = self.patience.silence();
        let established = |lane: &Lane| {
            lane.current
                .as_ref()
                .is_some_and(|(_, tls)| !tls.is_handshaking())
        };
        let what = if self.lanes.iter().any(established) {
            "sent no ticket"
        } else {
            "made no handshake"
        };
        anyhow::ensure!(
            heard.elapsed() < silence,
            "the server {what} for {silence:?}"
        );
        Ok(())
    }

    /// Connects, and says hello.
    fn begin(&mut self, index: usize) -> anyhow::Result<()> {
        let socket = socket::connect(&self.address, &self.patience)?;
        socket.set_nonblocking(true)?;
        let lane = &mut self.lanes[index];
        let mut session = Box::new(tls::session(&lane.config)?);
        write(&mut session, &socket)?;
        self.poll.registry().register(
            &mut SourceFd(&socket.as_raw_fd()),
            Token(index),
            Interest::READABLE,
        )?;
        lane.current = Some((socket, session));
        Ok(())
    }

    /// Reads and answers what's there; says whether the connection is over.
    fn go_on(&mut self, index: usize) -> anyhow::Result<bool> {
        let Some((socket, session)) = &mut self.lanes[index].current else {
            return Ok(false);
        };
        loop {
            match session.read_tls(&mut &*socket) {
                Ok(0) => {
                    anyhow::bail!("the server closed a connection in the middle of its handshake")
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("cannot make a TLS handshake"),
            }
            let processed = session.process_new_packets();
            // What's wrong is told to the server, too.
            let written = write(session, socket);
            processed.context("cannot make a TLS handshake")?;
            written?;
            if session.tls13_tickets_received() > 0 {
                break;
            }
        }
        tls::check(session)?;
        let kind = session.handshake_kind();
        match self.handshake {
            Handshake::Full => anyhow::ensure!(
                kind == Some(HandshakeKind::Full),
                "the server made a handshake of kind {kind:?} instead of a full one"
            ),
            Handshake::Resumed => anyhow::ensure!(
                kind == Some(HandshakeKind::Resumed),
                "the server didn't resume a session that it had given a ticket for"
            ),
        }
        session.send_close_notify();
        // It may have gone first.
        let _ = write(session, socket);
        self.lanes[index].current = None;
        Ok(true)
    }
}

/// What there's to say is far shorter than any socket's buffer.
fn write(session: &mut ClientConnection, socket: &Socket) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(&mut &*socket) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            written => drop(written?),
        }
    }
    Ok(())
}
