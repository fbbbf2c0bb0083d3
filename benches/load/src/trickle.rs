//! Clients that send their requests byte by byte: beside them, others shouldn't have to wait.

use crate::connection::{Connection, Received};
use crate::conversation::Conversation;
use crate::stream::Connector;
use crate::{Interrupted, Patience};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Slow clients, from a thread of their own, until they're stopped or dropped.
#[derive(Debug)]
pub struct Trickle {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<TrickleOutcome>>>,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrickleOutcome {
    /// Bytes of requests that were sent.
    pub bytes: u64,
    /// Requests that were sent to their end, and answered.
    pub requests: u64,
    /// Connections that the server wanted no more; another took the place of each.
    pub turned_away: u64,
}

impl Trickle {
    /// Opens all connections, and goes on in a thread, which sends one byte over each of them every `pause`, evenly spread.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time, or when there's no pause.
    pub fn start(
        address: &Address,
        workload: Workload,
        connections: usize,
        pause: Duration,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(!pause.is_zero(), "slow clients need a pause between two bytes");
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Clients {
            connector: Connector::new(address, patience)?,
            conversation: Conversation::new(address, workload),
            clients: Vec::with_capacity(connections),
            buffer: vec![0; 64 * 1024],
            patience: patience.clone(),
            stop: Arc::clone(&stop),
            outcome: TrickleOutcome::default(),
        };
        for _ in 0..connections {
            let client = clients.client()?;
            clients.clients.push(client);
        }
        let thread = thread::Builder::new()
            .name("trickle".to_owned())
            .spawn(move || clients.trickle(pause))
            .context("cannot start a thread for slow clients")?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Closes all connections, and tells what there was.
    ///
    /// # Errors
    ///
    /// When an answer was wrong, a request that was sent to its end wasn't answered, or no connection could be opened in the place of one.
    pub fn stop(mut self) -> anyhow::Result<TrickleOutcome> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome.context("a slow client"),
            _ => anyhow::bail!("the slow clients' thread panicked"),
        }
    }
}

impl Drop for Trickle {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Clients {
    connector: Connector,
    conversation: Conversation,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    patience: Patience,
    stop: Arc<AtomicBool>,
    outcome: TrickleOutcome,
}

struct Client {
    connection: Connection,
    /// How much of its request was sent.
    sent: usize,
}

/// What a client's turn brought.
enum Turn {
    Sent,
    TurnedAway,
}

impl Clients {
    fn client(&self) -> anyhow::Result<Client> {
        let mut connection = Connection::connect(&self.connector, &self.conversation)?;
        connection.open(&self.conversation)?;
        connection.set_nonblocking()?;
        Ok(Client { connection, sent: 0 })
    }

    fn trickle(mut self, pause: Duration) -> anyhow::Result<TrickleOutcome> {
        let begun = Instant::now();
        let step = pause.as_secs_f64() / self.clients.len().max(1) as f64;
        for turn in 0_u64.. {
            let due = begun + Duration::from_secs_f64(turn as f64 * step);
            if !self.sleep_until(due)? {
                break;
            }
            if self.clients.is_empty() {
                continue;
            }
            let index = (turn % self.clients.len() as u64) as usize;
            if let Turn::TurnedAway = self.take_turn(index)? {
                self.outcome.turned_away += 1;
                self.clients[index] = self.client()?;
            }
        }
        Ok(self.outcome)
    }

    /// Says whether to go on.
    fn sleep_until(&self, due: Instant) -> Result<bool, Interrupted> {
        loop {
            self.patience.check()?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            thread::sleep(left.min(Patience::TICK));
        }
    }

    /// Sends a byte, unless the answer or room is still waited for.
    fn take_turn(&mut self, index: usize) -> anyhow::Result<Turn> {
        let client = &mut self.clients[index];
        let request = &self.conversation.request;
        let is_whole = client.connection.in_flight() > 0;
        match client.connection.receive(&mut self.buffer) {
            Ok(Received::Answers(answers)) => {
                self.outcome.requests += answers as u64;
                if answers > 0 {
                    client.sent = 0;
                } else if is_whole {
                    return Ok(Turn::Sent);
                }
            }
            Err(error) if is_whole => return Err(error),
            // A server may have enough of a request that doesn't end; whether it says so first is its own business.
            Ok(Received::End) | Err(_) => return Ok(Turn::TurnedAway),
        }
        if client.connection.wants_room() {
            return match client.connection.flush(&request[..client.sent]) {
                Ok(_) => Ok(Turn::Sent),
                Err(_) => Ok(Turn::TurnedAway),
            };
        }
        client.sent += 1;
        let is_last = client.sent == request.len();
        match client
            .connection
            .send(&request[..client.sent], 1, usize::from(is_last))
        {
            Ok(_) => {
                self.outcome.bytes += 1;
                Ok(Turn::Sent)
            }
            Err(_) => Ok(Turn::TurnedAway),
        }
    }
}
