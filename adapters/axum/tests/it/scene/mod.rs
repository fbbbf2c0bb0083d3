//! What these tests have in common: a client, and a transport with handshakes of the test's own.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]
#![allow(dead_code, reason = "no test uses all of it")]

use anyport_core::{
    ConnInfo, Connection as _, Listener, Result, Transport,
    runtime::{Tokio, Worker},
    transport::{Conn, Connecting, Endpoint},
};
use anyport_memory::{Memory, MemoryConnection, MemoryListener, MemorySocket};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// One request on a connection of its own.
pub(crate) async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> (StatusCode, String) {
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "localhost")
        .body(String::new())
        .unwrap();
    let (head, body) = client.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

/// In memory, but what becomes of each client is the test's choice.
#[derive(Clone)]
pub(crate) struct Staged {
    memory: Memory,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    /// What it was told to offer.
    alpn: Arc<OnceLock<&'static [&'static [u8]]>>,
}

/// What becomes of a client; of those for whom none is foreseen, `Welcome`.
pub(crate) enum Fate {
    Welcome,
    /// Its handshake never ends.
    Silent,
    Fails,
    Panics,
    /// What's known of it, after its handshake.
    Known(fn(ConnInfo) -> ConnInfo),
    /// It isn't accepted: there's this error instead.
    NotAccepted(io::Error),
}

pub(crate) struct StagedListener {
    listener: MemoryListener,
    fates: Arc<Mutex<VecDeque<Fate>>>,
}

impl Staged {
    pub(crate) fn new(memory: Memory, fates: impl IntoIterator<Item = Fate>) -> Self {
        let fates = Arc::new(Mutex::new(fates.into_iter().collect()));
        let alpn = Arc::default();
        Self {
            memory,
            fates,
            alpn,
        }
    }

    pub(crate) fn alpn(&self) -> Option<&'static [&'static [u8]]> {
        self.alpn.get().copied()
    }

    /// Those that nobody met yet.
    pub(crate) fn fates_left(&self) -> usize {
        self.fates.lock().unwrap().len()
    }
}

impl Transport for Staged {
    type Runtime = Tokio;
    type Socket = MemorySocket;
    type Listener = StagedListener;

    fn open(&self, workers: usize) -> Result<Vec<MemorySocket>> {
        self.memory.open(workers)
    }

    fn endpoint(&self, socket: &MemorySocket) -> io::Result<Endpoint> {
        self.memory.endpoint(socket)
    }

    fn listen(&self, socket: MemorySocket, worker: &Worker) -> io::Result<StagedListener> {
        self.alpn.get_or_init(|| worker.alpn());
        Ok(StagedListener {
            listener: self.memory.listen(socket, worker)?,
            fates: Arc::clone(&self.fates),
        })
    }
}

impl Listener for StagedListener {
    type Connection = Conn<MemoryConnection>;
    type Handshake = Pin<Box<dyn Future<Output = io::Result<Self::Connection>> + Send>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let mut fates = self.fates.lock().unwrap();
        if let Some(Fate::NotAccepted(_)) = fates.front()
            && let Some(Fate::NotAccepted(error)) = fates.pop_front()
        {
            return Poll::Ready(Err(error));
        }
        self.listener.poll_accept(cx).map_ok(|incoming| {
            let fate = fates.pop_front().unwrap_or(Fate::Welcome);
            incoming.map(|inner| -> Self::Handshake {
                Box::pin(async move {
                    let connection = inner.await?;
                    let info = connection.info().clone();
                    let info = match fate {
                        Fate::Welcome | Fate::NotAccepted(_) => info,
                        Fate::Silent => std::future::pending().await,
                        Fate::Fails => return Err(io::ErrorKind::InvalidData.into()),
                        Fate::Panics => panic!("a handshake that panics: part of the test"),
                        Fate::Known(known) => known(info),
                    };
                    Ok(Conn::new(connection, info))
                })
            })
        })
    }
}
