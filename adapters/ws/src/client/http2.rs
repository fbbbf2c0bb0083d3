//! The handshake over HTTP/2, and the stream after it (RFC 8441).
//!
//! Hyper runs a connection in several tasks. They are not spawned: whoever reads or writes the
//! stream polls them. So they end with the WebSocket, and no runtime is needed.
use super::{Accepted, Deadline, Drive, Failure, HandshakeErrorKind, MAX_HEAD, refused};
use anyport_core::{ConnInfo, Connection};
use bytes::Bytes;
use futures_util::{Stream, stream::FuturesUnordered, task::AtomicWaker};
use http::{Request, StatusCode};
use hyper::{
    client::conn::http2::Builder,
    rt::{Executor, Read, ReadBufCursor, Write},
    upgrade::Upgraded,
};
use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

/// The number of streams that the server allows, before its SETTINGS have come. No server can send
/// this number, which has more than 32 bits.
const UNKNOWN: usize = usize::MAX - 1;

pub(super) async fn exchange<C: Connection>(
    connection: C,
    request: Request<String>,
    deadline: &mut Deadline,
) -> Result<Accepted, Failure> {
    let info = connection.info().clone();
    let mut tasks = Tasks::default();
    let mut builder = Builder::new(tasks.queue.clone());
    builder.initial_max_send_streams(UNKNOWN);
    builder.max_header_list_size(MAX_HEAD as u32);
    let exchange = async {
        let (mut sender, mut connection) = builder.handshake(connection).await?;
        // Captured as mutable, because a connection need not be `Sync`.
        let (polled, seen) = (&mut tasks, &mut connection);
        let settings = poll_fn(move |cx| {
            let is_alive = polled.poll(cx);
            match seen.current_max_send_streams() {
                UNKNOWN if is_alive => Poll::Pending,
                UNKNOWN => Poll::Ready(None),
                _ => Poll::Ready(Some(seen.is_extended_connect_protocol_enabled())),
            }
        });
        match settings.await {
            Some(true) => {}
            Some(false) => return Err(no_extended_connect()),
            None => return Err(ended()),
        }
        tasks.run(async { drop(connection.await) });
        let mut response = pin!(sender.send_request(request));
        let response = poll_fn(|cx| {
            let is_alive = tasks.poll(cx);
            match response.as_mut().poll(cx) {
                Poll::Pending if !is_alive => Poll::Ready(Err(ended())),
                response => response.map_err(Failure::from),
            }
        });
        let mut response = response.await?;
        if response.status() != StatusCode::OK {
            return Ok(Err(response));
        }
        let mut upgrade = hyper::upgrade::on(&mut response);
        let upgraded = poll_fn(|cx| {
            tasks.poll(cx);
            Pin::new(&mut upgrade).poll(cx)
        });
        Ok(Ok((upgraded.await?, response.map(drop))))
    };
    let (io, response) = match deadline.limit(exchange).await?? {
        Ok(accepted) => accepted,
        Err(response) => return Err(refused(response, &mut tasks, deadline).await),
    };
    Ok(Accepted {
        connection: Box::new(Tunnel {
            io,
            info,
            tasks,
            wakers: Arc::default(),
        }),
        unread: Bytes::new(),
        response,
    })
}

fn no_extended_connect() -> Failure {
    Failure::new(
        HandshakeErrorKind::NoExtendedConnect,
        "the server opens no WebSockets over HTTP/2 (RFC 8441 3; connect with HTTP/1.1: offer only http/1.1 by ALPN)",
    )
}

fn ended() -> Failure {
    Failure::new(
        HandshakeErrorKind::Io,
        "the server ended the connection, or it does not use HTTP/2",
    )
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks of a connection.
#[derive(Default)]
struct Tasks {
    queue: Queue,
    running: FuturesUnordered<Task>,
}

/// Tasks that hyper has started.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Vec<Task>>>);

impl Queue {
    fn take(&self) -> Vec<Task> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Queue {
    fn execute(&self, task: F) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(Box::pin(task));
    }
}

impl Tasks {
    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.push(Box::pin(task));
    }

    /// Polls the tasks. Returns whether one is left.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            self.running.extend(self.queue.take());
            match Pin::new(&mut self.running).poll_next(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => return false,
                Poll::Pending => {
                    let started = self.queue.take();
                    if started.is_empty() {
                        return true;
                    }
                    self.running.extend(started);
                }
            }
        }
    }
}

impl Drive for Tasks {
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.poll(cx);
    }
}

/// A task has a clone of the queue, so a task in the queue would keep itself.
impl Drop for Tasks {
    fn drop(&mut self) {
        drop(self.queue.take());
    }
}

/// A stream of HTTP/2, with the connection that it alone uses.
struct Tunnel {
    io: Upgraded,
    info: ConnInfo,
    tasks: Tasks,
    wakers: Arc<Wakers>,
}

/// The task that reads and the one that writes. Either may be the only one that is still polled, so
/// progress of the connection wakes both.
#[derive(Default)]
struct Wakers {
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.reader.wake();
        self.writer.wake();
    }
}

impl Tunnel {
    fn poll_tasks(&mut self) {
        let waker = Waker::from(Arc::clone(&self.wakers));
        self.tasks.poll(&mut Context::from_waker(&waker));
    }
}

impl Connection for Tunnel {
    fn info(&self) -> &ConnInfo {
        &self.info
    }
}

impl Read for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.wakers.reader.register(cx.waker());
        self.poll_tasks();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() {
            // The window of the stream is larger now, and the server needs to know.
            self.poll_tasks();
        }
        read
    }
}

impl Write for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wakers.writer.register(cx.waker());
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.poll_tasks();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wakers.writer.register(cx.waker());
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.poll_tasks();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wakers.writer.register(cx.waker());
        let shut_down = Pin::new(&mut self.io).poll_shutdown(cx);
        self.poll_tasks();
        shut_down
    }
}
