//! What the tests share: a server in memory under tokio's paused clock, and what its observer saw.
//!
//! A paused clock stands still as long as any task has something to do, and then jumps to the next timer. So a short sleep ends when every
//! other task waits, and not before: that's how these tests wait for the server, without a guess about how long it takes.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Event, Handle, Observer, ServedOver, Server, observe::TimedOut, serve_with};
use anyport_memory::{Connector, Memory, MemoryStream};
use std::time::Duration;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, timeout},
};

/// What hasn't happened on the paused clock by then never will.
const NEVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A server in memory, and what became of its connections.
pub(crate) struct Scene {
    pub(crate) handle: Handle,
    connector: Connector,
    ends: UnboundedReceiver<End>,
}

/// How a connection ended, and when.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) at: Instant,
    /// The first deadline that passed, if one did.
    pub(crate) timed_out: Option<TimedOut>,
    /// How many deadlines passed.
    pub(crate) deadlines: usize,
    pub(crate) aborted: bool,
}

impl Scene {
    /// Serves an app on the current runtime.
    pub(crate) fn serve<A>(app: A, configure: impl FnOnce(Server) -> Server) -> Self
    where
        A: ServedOver<Memory>,
    {
        let memory = Memory::new();
        let connector = memory.connector();
        let (send, ends) = unbounded_channel();
        let witness = Witness {
            timed_out: std::sync::Mutex::default(),
            ends: send,
        };
        Self {
            handle: configure(serve_with(memory, app))
                .observer(witness)
                .start()
                .unwrap(),
            connector,
            ends,
        }
    }

    pub(crate) fn connect(&self) -> MemoryStream {
        self.connector.connect().unwrap()
    }

    /// Whether somebody new gets in.
    pub(crate) fn accepts(&self) -> bool {
        self.connector.connect().is_ok()
    }

    /// The next end of a connection.
    pub(crate) async fn end(&mut self) -> End {
        let end = timeout(NEVER, self.ends.recv()).await;
        end.unwrap_or_else(|_| panic!("no connection ends")).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.handle.abort());
    }
}

/// Every task but this one waits for something now.
pub(crate) async fn settled() {
    sleep(Duration::from_millis(1)).await;
}

struct Witness {
    timed_out: std::sync::Mutex<std::collections::HashMap<u64, Vec<TimedOut>>>,
    ends: UnboundedSender<End>,
}

impl Observer for Witness {
    fn on(&self, event: &Event<'_>) {
        let mut timed_out = self.timed_out.lock().unwrap();
        match event {
            Event::TimedOut { id, what } => {
                timed_out.entry(*id).or_default().push(*what);
            }
            Event::Closed { id, aborted, .. } => {
                let timed_out = timed_out.remove(id).unwrap_or_default();
                // A test that has ended doesn't want to know.
                let _ = self.ends.send(End {
                    at: Instant::now(),
                    timed_out: timed_out.first().copied(),
                    deadlines: timed_out.len(),
                    aborted: *aborted,
                });
            }
            _ => {}
        }
    }
}
