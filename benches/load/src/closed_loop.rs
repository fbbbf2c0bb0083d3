//! Keep-alive connections that each ask again as soon as they're answered: as much load as the server can bear, and no more.

use crate::{Patience, request, scanner::Scanner, stream::Connector, stream::Stream};
use anyhow::Context as _;
use anyport_bench_child::Address;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// Holds what any response of the bench brings in one read.
const READ_BUFFER: usize = 64 * 1024;

/// How much to ask.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// Exactly so many requests, over all connections.
    Requests(u64),
    /// As many as there's time for; those in flight at its end are still answered, and counted.
    For(Duration),
}

/// Open connections, none of which has a request in flight between two [`run`](Self::run)s.
#[derive(Debug)]
pub struct ClosedLoop {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    request: Vec<u8>,
    buffer: Vec<u8>,
    patience: Patience,
}

impl ClosedLoop {
    /// Opens all connections, and makes the handshakes of those with TLS.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time.
    pub fn connect(address: &Address, connections: usize, patience: &Patience) -> anyhow::Result<Self> {
        let poll = Poll::new().context("cannot make a poller")?;
        let connector = Connector::new(address, patience)?;
        let connections = (0..connections)
            .map(|index| {
                let mut stream = connector.connect()?;
                stream.shake_hands()?;
                stream.set_nonblocking()?;
                poll.registry().register(
                    &mut SourceFd(&stream.as_raw_fd()),
                    Token(index),
                    Interest::READABLE,
                )?;
                Ok(Connection {
                    stream,
                    scanner: Scanner::default(),
                    unsent: 0,
                    answered: 0,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            poll,
            events: Events::with_capacity(connections.len().max(1)),
            connections,
            request: request::get(address),
            buffer: vec![0; READ_BUFFER],
            patience: patience.clone(),
        })
    }

    /// Asks, and gives the number of requests that were answered: all that were sent.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends, or the server is silent for too long. The connections are of no use then.
    pub fn run(&mut self, amount: Amount) -> anyhow::Result<u64> {
        let mut budget = Budget::new(amount);
        let mut in_flight = 0_u64;
        for index in 0..self.connections.len() {
            if budget.take() {
                self.send(index)?;
                in_flight += 1;
            }
        }
        let mut done = 0;
        let mut heard = Instant::now();
        while in_flight > 0 {
            if !self.wait(heard)? {
                continue;
            }
            heard = Instant::now();
            budget.look_at(heard);
            let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
            for event in &events {
                let Token(index) = event.token();
                if event.is_writable() && self.connections[index].unsent > 0 {
                    self.flush(index)?;
                }
                if self.receive(index)? {
                    done += 1;
                    if budget.take() {
                        self.send(index)?;
                    } else {
                        in_flight -= 1;
                    }
                }
            }
            self.events = events;
        }
        Ok(done)
    }

    /// Waits for events; says whether there are any.
    fn wait(&mut self, heard: Instant) -> anyhow::Result<bool> {
        self.patience.check()?;
        match self.poll.poll(&mut self.events, Some(Patience::TICK)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            Ok(()) if !self.events.is_empty() => return Ok(true),
            _ => {}
        }
        let silence = self.patience.silence();
        anyhow::ensure!(
            heard.elapsed() < silence,
            "the server answered nothing for {silence:?}"
        );
        Ok(false)
    }

    fn send(&mut self, index: usize) -> anyhow::Result<()> {
        self.connections[index].unsent = self.request.len();
        self.flush(index)
    }

    fn flush(&mut self, index: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[index];
        while connection.unsent > 0 {
            let rest = &self.request[self.request.len() - connection.unsent..];
            match connection.stream.write(rest) {
                Ok(written) => connection.unsent -= written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // So short a request meets a full buffer only if the server doesn't read.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.poll.registry().reregister(
                        &mut SourceFd(&connection.stream.as_raw_fd()),
                        Token(index),
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    break;
                }
                Err(error) => return Err(self.lost(index, &error)),
            }
        }
        Ok(())
    }

    /// Reads what's there; says whether a response is whole.
    fn receive(&mut self, index: usize) -> anyhow::Result<bool> {
        loop {
            let connection = &mut self.connections[index];
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err(self.lost(index, &io::Error::from(ErrorKind::UnexpectedEof))),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.lost(index, &error)),
            };
            let whole = connection.scanner.feed(&self.buffer[..read]);
            if whole.with_context(|| self.place(index))? {
                self.connections[index].answered += 1;
                return Ok(true);
            }
            // A short read emptied the socket: what comes later is a new event (epoll(7)).
            if read < self.buffer.len() && self.connections[index].stream.is_drained_by_short_read() {
                return Ok(false);
            }
        }
    }

    fn lost(&self, index: usize, error: &io::Error) -> anyhow::Error {
        let what = match error.kind() {
            ErrorKind::UnexpectedEof => "the server closed it".to_owned(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the server reset it".to_owned(),
            _ => error.to_string(),
        };
        anyhow::anyhow!("{}: {what}", self.place(index))
    }

    fn place(&self, index: usize) -> String {
        format!(
            "connection {} of {}, after {} responses",
            index + 1,
            self.connections.len(),
            self.connections[index].answered
        )
    }
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    scanner: Scanner,
    /// Bytes of the request that the socket had no room for.
    unsent: usize,
    answered: u64,
}

/// What may still be sent.
pub(crate) enum Budget {
    Requests(u64),
    Until { end: Instant, over: bool },
}

impl Budget {
    pub(crate) fn new(amount: Amount) -> Self {
        match amount {
            Amount::Requests(requests) => Self::Requests(requests),
            Amount::For(duration) => Self::Until {
                end: Instant::now() + duration,
                over: false,
            },
        }
    }

    pub(crate) fn take(&mut self) -> bool {
        match self {
            Self::Requests(0) => false,
            Self::Requests(left) => {
                *left -= 1;
                true
            }
            Self::Until { over, .. } => !*over,
        }
    }

    /// The clock is read once for all that's ready, not once per request.
    pub(crate) fn look_at(&mut self, now: Instant) {
        if let Self::Until { end, over } = self {
            *over = now >= *end;
        }
    }
}
