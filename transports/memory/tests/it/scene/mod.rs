//! What the tests share: a server in memory under tokio's paused clock, and what its observer saw.
//!
//! A paused clock stands still as long as any task has something to do, and then jumps to the next
//! timer. So a short sleep ends when every other task waits, and not before: that's how these tests
//! wait for the server, without a guess about how long it takes.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Event, Handle, Observer, ServedOver, Server, observe::TimedOut, serve_with};
use anyport_memory::{Connector, Memory, MemoryStream};
use std::{ops::RangeInclusive, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, timeout},
};

/// What hasn't happened on the paused clock by then never will.
const NEVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// tokio's clock counts in milliseconds, and rounds up; a settled scene is one later.
pub(crate) const TICK: Duration = Duration::from_millis(3);

/// A request.
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
/// Each kind of connection: asleep at once, soon, late, just before its end, and never.
pub(crate) const SLEEPS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(200),
    Duration::from_secs(10),
    Duration::from_millis(74_999),
    Duration::MAX,
];

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
        end.unwrap_or_else(|_| panic!("no connection ends"))
            .unwrap()
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

/// Asks, and is answered at once: whether it's told to leave.
pub(crate) async fn ask(client: &mut MemoryStream, bytes: &str) -> bool {
    client.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let n = timeout(Duration::from_secs(1), client.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8_lossy(&answer[..n]);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello"),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    answer.contains("connection: close\r\n")
}

/// The server closes without another byte.
pub(crate) async fn closed(client: &mut MemoryStream) {
    let read = timeout(NEVER, client.read(&mut [0])).await;
    assert_eq!(read.unwrap().unwrap(), 0);
}

#[track_caller]
pub(crate) fn ended(end: &End, since: Instant, deadline: Duration, why: Option<TimedOut>) {
    ended_between(end, since, deadline..=deadline + TICK, why);
}

#[track_caller]
pub(crate) fn ended_between(
    end: &End,
    since: Instant,
    when: RangeInclusive<Duration>,
    why: Option<TimedOut>,
) {
    assert_eq!(end.timed_out, why, "{end:?}");
    assert!(!end.aborted, "{end:?}");
    let elapsed = end.at - since;
    assert!(when.contains(&elapsed), "after {elapsed:?}, not {when:?}");
}
