//! An abort reaches every stream, even one that another task is about to read.
#![cfg(feature = "tokio")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{
    ConnInfo, Connection, Listener, Result, Transport,
    protocol::Accepted,
    runtime::{TokioPerCore, Worker},
    serve_raw_with,
    transport::{Connecting, Endpoint},
};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    runtime::{Builder, Runtime},
    time::timeout,
};

/// Upper bound of every wait. Only a test that hangs reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A stream on which nothing arrives. Its first read signals that it has begun, and returns when
/// the test allows it.
struct Mute {
    info: ConnInfo,
    pause: Option<Pause>,
}

struct Pause {
    begun: SyncSender<()>,
    may_go_on: Receiver<()>,
}

impl Connection for Mute {
    fn info(&self) -> &ConnInfo {
        &self.info
    }
}

impl Read for Mute {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = self.pause.take() {
            pause.begun.send(()).unwrap();
            pause.may_go_on.recv_timeout(TIMEOUT).unwrap();
        }
        Poll::Pending
    }
}

impl Write for Mute {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Accepts one client only.
#[derive(Clone)]
struct One(Arc<Mutex<Option<Mute>>>);

impl Transport for One {
    type Runtime = TokioPerCore;
    type Socket = ();
    type Listener = Self;

    fn open(&self, workers: usize) -> Result<Vec<()>> {
        Ok(vec![(); workers])
    }

    fn endpoint(&self, (): &()) -> io::Result<Endpoint> {
        Ok(Endpoint::custom("one"))
    }

    fn listen(&self, (): (), _: &Worker) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl Listener for One {
    type Connection = Mute;
    type Handshake = Ready<io::Result<Mute>>;

    fn poll_accept(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        match self.0.lock().unwrap().take() {
            Some(mute) => Poll::Ready(Ok(Connecting::new(
                mute.info.peer().clone(),
                ready(Ok(mute)),
            ))),
            None => Poll::Pending,
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Reads on a thread of its own, as an app may do with an upgraded stream.
fn read_elsewhere(connection: Accepted<Mute>, outcome: SyncSender<io::Result<usize>>) {
    thread::spawn(move || {
        let read = runtime().block_on(async { TokioIo::new(connection).read(&mut [0; 8]).await });
        outcome.send(read).unwrap();
    });
}

#[test]
fn an_abort_reaches_a_stream_that_a_new_task_just_began_to_read() {
    let (begun, has_begun) = sync_channel(1);
    let (go_on, may_go_on) = sync_channel(1);
    let (outcome, of_the_read) = sync_channel(1);
    let mute = Mute {
        info: ConnInfo::new(Endpoint::custom("client"), Endpoint::custom("one")),
        pause: Some(Pause { begun, may_go_on }),
    };
    let one = One(Arc::new(Mutex::new(Some(mute))));
    let server = serve_raw_with(one, move |connection| {
        read_elsewhere(connection, outcome.clone());
        ready(())
    });
    let handle = server.workers(1).start().unwrap();

    has_begun.recv_timeout(TIMEOUT).unwrap();
    // The abort has woken all tasks before the read is pending. No waker of this task existed then.
    let report = runtime().block_on(async { timeout(TIMEOUT, handle.abort()).await });
    assert_eq!(report.unwrap().unwrap().aborted, 1);
    go_on.send(()).unwrap();

    let read = of_the_read.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}
