//! The connections of a load, and the poller that says which of them have something to do.

use crate::Patience;
use crate::connection::{Connection, Received, lost};
use crate::conversation::Conversation;
use crate::stream::Connector;
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use mio::{Events, Interest, Poll, Token, event::Event, unix::SourceFd};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// Holds what most responses of the bench bring in one read.
const READ_BUFFER: usize = 64 * 1024;

/// Open connections, each with up to `depth` requests in flight.
#[derive(Debug)]
pub(crate) struct Connections {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    /// As many requests as may be in flight, one after the other: any number of them is its end,
    /// also if the first is half sent.
    requests: Vec<u8>,
    /// Bytes of one request.
    length: usize,
    buffer: Vec<u8>,
    patience: Patience,
}

impl Connections {
    /// Opens all connections, with the handshakes and upgrades that they need.
    pub(crate) fn open(
        address: &Address,
        workload: Workload,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new().context("cannot make a poller")?;
        let connector = Connector::new(address, patience)?;
        let conversation = Conversation::new(address, workload);
        let connections = (0..connections)
            .map(|index| {
                let mut connection = Connection::connect(&connector, &conversation)?;
                connection.open(&conversation)?;
                connection.set_nonblocking()?;
                poll.registry().register(
                    &mut SourceFd(&connection.as_raw_fd()),
                    Token(index),
                    Interest::READABLE,
                )?;
                Ok(connection)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            poll,
            events: Events::with_capacity(connections.len().max(1)),
            connections,
            length: conversation.request.len(),
            requests: conversation.request,
            buffer: vec![0; READ_BUFFER],
            patience: patience.clone(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// How many answers each connection had.
    pub(crate) fn answered(&self) -> impl Iterator<Item = u64> {
        self.connections.iter().map(Connection::answered)
    }

    /// Waits for events, no longer than `timeout`; says whether there are any.
    pub(crate) fn wait(&mut self, timeout: Duration) -> anyhow::Result<bool> {
        self.patience.check()?;
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            polled => {
                polled?;
                Ok(!self.events.is_empty())
            }
        }
    }

    /// What was waited for; to be given back by [`put_back`](Self::put_back).
    pub(crate) fn take_events(&mut self) -> Events {
        std::mem::replace(&mut self.events, Events::with_capacity(0))
    }

    pub(crate) fn put_back(&mut self, events: Events) {
        self.events = events;
    }

    /// Fails if there was nothing from the server for too long.
    pub(crate) fn complain(&self, silent: Duration) -> anyhow::Result<()> {
        let silence = self.patience.silence();
        if silent < silence {
            return Ok(());
        }
        let waiting = self
            .connections
            .iter()
            .filter(|connection| connection.in_flight() > 0);
        anyhow::bail!(
            "the server answered nothing for {silence:?}, and {} of {} connections wait for it",
            waiting.count(),
            self.len()
        )
    }

    /// Sends so many requests over one of them.
    pub(crate) fn send(&mut self, index: usize, requests: usize) -> anyhow::Result<()> {
        let sent = self.connections[index].send(&self.requests, requests * self.length, requests);
        self.watch(index, sent)
    }

    /// Does what there's to do on a connection, and gives it with the number of its answers.
    pub(crate) fn handle(&mut self, event: &Event) -> anyhow::Result<(usize, usize)> {
        let Token(index) = event.token();
        if event.is_writable() && self.connections[index].wants_room() {
            let flushed = self.connections[index].flush(&self.requests);
            self.watch(index, flushed)?;
        }
        let received = self.connections[index].receive(&mut self.buffer);
        match received.with_context(|| self.place(index))? {
            Received::Answers(answers) => Ok((index, answers)),
            Received::End => Err(self.lost(index, &ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Looks out for room, if there was none. So short a request meets a full buffer only if the
    /// server doesn't read.
    fn watch(&self, index: usize, sent: io::Result<bool>) -> anyhow::Result<()> {
        match sent {
            Ok(true) => {}
            Ok(false) => self.poll.registry().reregister(
                &mut SourceFd(&self.connections[index].as_raw_fd()),
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )?,
            Err(error) => return Err(self.lost(index, &error)),
        }
        Ok(())
    }

    fn lost(&self, index: usize, error: &io::Error) -> anyhow::Error {
        lost(error).context(self.place(index))
    }

    fn place(&self, index: usize) -> String {
        format!(
            "connection {} of {}, after {} responses",
            index + 1,
            self.len(),
            self.connections[index].answered()
        )
    }
}
