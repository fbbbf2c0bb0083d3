//! Keep-alive connections that each ask again as soon as they're answered: as much load as the
//! server can bear, and no more.

use crate::amount::Budget;
use crate::connections::Connections;
use crate::effort::Stopwatch;
use crate::{Amount, Effort, Patience};
use anyport_bench_child::{Address, Workload};
use std::time::Instant;

/// Open connections, none of which has a request in flight between two [`run`](Self::run)s.
#[derive(Debug)]
pub struct ClosedLoop {
    connections: Connections,
    /// Which connections were answered in time, since that was last asked.
    served: Vec<bool>,
}

/// What a run brought.
#[derive(Clone, Debug)]
pub struct ClosedOutcome {
    /// Those that were answered: all that were sent.
    pub requests: u64,
    /// Connections that had no answer until the time was over: a server that serves only some of
    /// them is no faster for it. 0 for a number of requests, which may be less than there are
    /// connections.
    pub starved: usize,
    /// What the load took itself.
    pub effort: Effort,
}

impl ClosedLoop {
    /// Opens all connections, with the TLS handshakes and upgrades that they need.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time.
    pub fn connect(
        address: &Address,
        workload: Workload,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            connections: Connections::open(address, workload, connections, patience)?,
            served: vec![false; connections],
        })
    }

    /// Asks, until all that was sent is answered.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends, or the server is silent for too long. The
    /// connections are of no use then.
    pub fn run(&mut self, amount: Amount) -> anyhow::Result<ClosedOutcome> {
        let before: Vec<u64> = self.connections.answered().collect();
        let stopwatch = Stopwatch::start();
        let mut budget = Budget::new(amount, self.connections.patience());
        let mut in_flight = 0;
        for index in 0..self.connections.len() {
            in_flight += self.ask(index, 1, &mut budget)?;
        }
        let mut requests = 0;
        let mut starved = None;
        let mut heard = Instant::now();
        while in_flight > 0 {
            if !self.connections.wait(Patience::TICK)? {
                budget.look_at(Instant::now());
                self.connections.complain(heard.elapsed())?;
                continue;
            }
            heard = Instant::now();
            budget.look_at(heard);
            let events = self.connections.take_events();
            for event in &events {
                let (index, answers) = self.connections.handle(event)?;
                if answers > 0 {
                    requests += answers as u64;
                    in_flight -= answers;
                    in_flight += self.ask(index, answers, &mut budget)?;
                }
            }
            self.connections.put_back(events);
            if starved.is_none() && budget.is_over() && matches!(amount, Amount::For(_)) {
                let answered = self.connections.answered().zip(&before);
                starved = Some(
                    answered
                        .map(|(now, before)| now == *before)
                        .collect::<Vec<bool>>(),
                );
            }
        }
        let starved = starved.unwrap_or_else(|| vec![false; before.len()]);
        for (served, starved) in self.served.iter_mut().zip(&starved) {
            *served |= !starved;
        }
        Ok(ClosedOutcome {
            requests,
            starved: starved.into_iter().filter(|starved| *starved).count(),
            effort: stopwatch.read(),
        })
    }

    /// How many connections had no answer in time in any of the [`run`](Self::run)s since this was
    /// last asked.
    pub fn starved(&mut self) -> usize {
        let served = std::mem::replace(&mut self.served, vec![false; self.connections.len()]);
        served.into_iter().filter(|served| !served).count()
    }

    /// Sends up to `requests`; gives their number.
    fn ask(&mut self, index: usize, requests: usize, budget: &mut Budget) -> anyhow::Result<usize> {
        let requests = budget.take(requests);
        if requests > 0 {
            self.connections.send(index, requests)?;
        }
        Ok(requests)
    }
}
