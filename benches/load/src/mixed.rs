//! A mix as a public server has it: kept-alive connections with small and with large responses, new
//! connections, and slow readers that hold a response half read.

use crate::connection::{Connection, Received};
use crate::conversation::Conversation;
use crate::effort::Stopwatch;
use crate::stream::Connector;
use crate::{Amount, Churn, ClosedLoop, Effort, Patience};
use anyport_bench_child::{Address, Workload};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// Requests of one turn: whatever a server is fast at, the mix stays the same.
const SMALL: u64 = 90;
const LARGE: u64 = 6;
const NEW: u64 = 4;
/// One connection in so many reads slowly.
const SLOW: usize = 10;
/// What a slow reader takes in each turn.
const SIP: usize = 16 * 1024;

/// Open connections, of which each [`run`](Self::run) uses all.
#[derive(Debug)]
pub struct Mixed {
    small: ClosedLoop,
    large: ClosedLoop,
    new: Churn,
    slow: Vec<Connection>,
    download: Conversation,
    buffer: Vec<u8>,
    patience: Patience,
}

impl Mixed {
    /// Opens a tenth of the connections as slow readers of 1 MiB, a tenth for 64 KiB, the rest for
    /// plain text. New connections come four at a time.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time.
    pub fn connect(
        address: &Address,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let share = connections.div_ceil(SLOW);
        let rest = connections.saturating_sub(2 * share).max(1);
        let download = Conversation::new(address, Workload::Download1M);
        let connector = Connector::new(address, patience)?;
        let slow = (0..share).map(|_| {
            let mut connection = Connection::connect(&connector, &download)?;
            connection.open(&download)?;
            connection.set_nonblocking()?;
            Ok(connection)
        });
        Ok(Self {
            slow: slow.collect::<anyhow::Result<_>>()?,
            small: ClosedLoop::connect(address, Workload::Plaintext, rest, patience)?,
            large: ClosedLoop::connect(address, Workload::Download64K, share, patience)?,
            new: Churn::new(
                address,
                Workload::Plaintext,
                NEW as usize,
                NonZeroU64::MIN,
                patience,
            )?,
            download,
            buffer: vec![0; SIP],
            patience: patience.clone(),
        })
    }

    /// Takes turns for as long; gives the number of responses, and what the load took itself.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends, or the server is silent for too long.
    pub fn run(&mut self, duration: Duration) -> anyhow::Result<(u64, Effort)> {
        let stopwatch = Stopwatch::start();
        let end = Instant::now() + duration;
        let mut responses = 0;
        loop {
            self.patience.check()?;
            responses += self.sip()?;
            responses += self.small.run(Amount::Requests(SMALL))?.requests;
            responses += self.large.run(Amount::Requests(LARGE))?.requests;
            responses += self.new.run(Amount::Requests(NEW))?.connections;
            if Instant::now() >= end {
                return Ok((responses, stopwatch.read()));
            }
        }
    }

    /// Each slow reader takes a little, and asks again once it has all.
    fn sip(&mut self) -> anyhow::Result<u64> {
        let request = &self.download.request;
        let mut whole = 0;
        for connection in &mut self.slow {
            if connection.in_flight() == 0 {
                connection.send(request, request.len(), 1)?;
            }
            match connection.receive_once(&mut self.buffer)? {
                Received::Answers(answers) => whole += answers as u64,
                Received::End => anyhow::bail!("the server closed the connection of a slow reader"),
            }
        }
        Ok(whole)
    }
}
