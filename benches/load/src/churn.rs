//! Connections that come, ask a few times and go, each followed by the next: what a server pays for
//! clients that don't stay.

use crate::amount::Budget;
use crate::connection::{Connection, Received, lost};
use crate::conversation::Conversation;
use crate::effort::Stopwatch;
use crate::stream::Connector;
use crate::{Amount, Effort, Patience};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use mio::{Events, Interest, Poll, Token, event::Event, unix::SourceFd};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// Holds what most responses of the bench bring in one read.
const READ_BUFFER: usize = 64 * 1024;

/// Connections that are made at once, each with a number of requests. TLS handshakes are full ones.
///
/// The last request of each says `Connection: close`, and the connection counts when the server has
/// closed it. So it's the server that closes first, as it does for `ab` and browsers that say so:
/// its TIME_WAIT takes none of this machine's 28,232 client ports, which else would be used up in
/// seconds.
#[derive(Debug)]
pub struct Churn {
    poll: Poll,
    events: Events,
    connector: Connector,
    conversation: Conversation,
    lanes: Vec<Option<Visit>>,
    requests: u64,
    buffer: Vec<u8>,
    patience: Patience,
}

/// What a run brought.
#[derive(Clone, Copy, Debug)]
pub struct ChurnOutcome {
    /// Those that were opened, used and closed by the server: all that were begun.
    pub connections: u64,
    /// Those that were answered: all that were sent.
    pub requests: u64,
    /// What the load took itself.
    pub effort: Effort,
}

/// One connection's life.
#[derive(Debug)]
struct Visit {
    connection: Connection,
    /// Requests that aren't answered yet.
    left: u64,
}

impl Churn {
    /// Makes one connection, to see whether the server plays along; then `lanes` at once, of
    /// `requests` each.
    ///
    /// # Errors
    ///
    /// When it doesn't, or when the workload is a WebSocket, which has no last request.
    pub fn new(
        address: &Address,
        workload: Workload,
        lanes: usize,
        requests: NonZeroU64,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            workload != Workload::WebSocket && workload.upload() == 0,
            "connections of a few requests take workloads over HTTP without a body"
        );
        let mut churn = Self {
            poll: Poll::new().context("cannot make a poller")?,
            events: Events::with_capacity(lanes.max(1)),
            connector: Connector::new(address, patience)?,
            conversation: Conversation::new(address, workload),
            lanes: (0..lanes).map(|_| None).collect(),
            requests: requests.get(),
            buffer: vec![0; READ_BUFFER],
            patience: patience.clone(),
        };
        churn.run(Amount::Requests(1))?;
        Ok(churn)
    }

    /// Makes connections, whose number is the amount, not that of the requests; those that were
    /// begun in time are finished.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends too early or not at all, or the server is silent
    /// for too long. The load is of no use then.
    pub fn run(&mut self, amount: Amount) -> anyhow::Result<ChurnOutcome> {
        let stopwatch = Stopwatch::start();
        let mut budget = Budget::new(amount, &self.patience);
        let mut under_way = 0_u64;
        for index in 0..self.lanes.len() {
            if budget.take(1) > 0 {
                self.begin(index)?;
                under_way += 1;
            }
        }
        let mut connections = 0;
        let mut heard = Instant::now();
        while under_way > 0 {
            self.patience.check()?;
            match self.poll.poll(&mut self.events, Some(Patience::TICK)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                Ok(()) if !self.events.is_empty() => heard = Instant::now(),
                _ => self.complain(heard.elapsed())?,
            }
            budget.look_at(heard);
            let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
            for event in &events {
                let Token(index) = event.token();
                if self.go_on(index, event).context("a new connection")? {
                    connections += 1;
                    if budget.take(1) > 0 {
                        self.begin(index)?;
                    } else {
                        under_way -= 1;
                    }
                }
            }
            self.events = events;
        }
        Ok(ChurnOutcome {
            connections,
            requests: connections * self.requests,
            effort: stopwatch.read(),
        })
    }

    fn complain(&self, silent: Duration) -> anyhow::Result<()> {
        let silence = self.patience.silence();
        if silent < silence {
            return Ok(());
        }
        let visits = || self.lanes.iter().flatten();
        if visits().any(|visit| visit.left > 0) {
            anyhow::bail!("the server answered nothing for {silence:?}");
        }
        anyhow::bail!(
            "the server didn't close a connection for {silence:?}, though the last request said `Connection: close`"
        )
    }

    /// Connects, and asks for the first time.
    fn begin(&mut self, index: usize) -> anyhow::Result<()> {
        let connection = Connection::begin(&self.connector, &self.conversation)?;
        self.poll.registry().register(
            &mut SourceFd(&connection.as_raw_fd()),
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let visit = self.lanes[index].insert(Visit {
            connection,
            left: self.requests,
        });
        visit
            .ask(&self.conversation)
            .map_err(|error| lost(&error))
            .context("a new connection")
    }

    /// Does what there's to do; says whether the connection is over.
    fn go_on(&mut self, index: usize, event: &Event) -> anyhow::Result<bool> {
        let Some(visit) = &mut self.lanes[index] else {
            return Ok(false);
        };
        visit
            .flush(&self.conversation)
            .map_err(|error| lost(&error))?;
        // A TCP connection that isn't one yet is only writable.
        if !event.is_readable() && !event.is_read_closed() && !event.is_error() {
            return Ok(false);
        }
        loop {
            match visit.connection.receive(&mut self.buffer) {
                Ok(Received::Answers(0)) => return Ok(false),
                Ok(Received::Answers(answers)) => visit.left -= answers as u64,
                Ok(Received::End) if visit.left == 0 => {
                    self.lanes[index] = None;
                    return Ok(true);
                }
                Ok(Received::End) => return Err(lost(&ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(error),
            }
            if visit.left > 0 {
                visit
                    .ask(&self.conversation)
                    .map_err(|error| lost(&error))?;
                return Ok(false);
            }
            // The end is another event, unless it came with this one.
            if !event.is_read_closed() && visit.connection.is_drained_by_short_read() {
                return Ok(false);
            }
        }
    }
}

impl Visit {
    fn request<'a>(&self, conversation: &'a Conversation) -> &'a [u8] {
        match self.left {
            1 => &conversation.last_request,
            _ => &conversation.request,
        }
    }

    fn ask(&mut self, conversation: &Conversation) -> io::Result<()> {
        let request = self.request(conversation);
        self.connection.send(request, request.len(), 1)?;
        Ok(())
    }

    fn flush(&mut self, conversation: &Conversation) -> io::Result<()> {
        if self.connection.wants_room() {
            self.connection.flush(self.request(conversation))?;
        }
        Ok(())
    }
}
