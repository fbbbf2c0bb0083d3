//! The suite over pipes inside this process. A transport needs nothing that only sockets have, and
//! its code fits on one page.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue panics, with its location"
)]

use anyport_core::{
    ConnInfo, Listener, Result, Transport,
    runtime::{Tokio, Worker},
    transport::{Conn, Connecting, Endpoint},
};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use hyper_util::rt::TokioIo;
use std::{
    future::Ready,
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// Listens for clients of this process.
#[derive(Clone)]
struct Pipe(Arc<Subscribers>);

/// The listeners, by endpoint.
#[derive(Default)]
struct Subscribers {
    last: AtomicU64,
    all: std::sync::Mutex<Vec<(Endpoint, UnboundedSender<DuplexStream>)>>,
}

struct Accepting {
    local: Endpoint,
    clients: UnboundedReceiver<DuplexStream>,
}

impl Transport for Pipe {
    type Runtime = Tokio;
    type Socket = Accepting;
    type Listener = Accepting;

    fn open(&self, workers: usize) -> Result<Vec<Accepting>> {
        assert_eq!(workers, 1, "the ambient runtime has one accept loop");
        let local = Endpoint::custom(format!("pipe:{}", self.0.last.fetch_add(1, Relaxed)));
        let (sender, clients) = unbounded_channel();
        self.0.all.lock().unwrap().push((local.clone(), sender));
        Ok(vec![Accepting { local, clients }])
    }

    fn endpoint(&self, socket: &Accepting) -> io::Result<Endpoint> {
        Ok(socket.local.clone())
    }

    fn listen(&self, socket: Accepting, _: &Worker) -> io::Result<Accepting> {
        Ok(socket)
    }
}

impl Listener for Accepting {
    type Connection = Conn<TokioIo<DuplexStream>>;
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let Some(stream) = ready!(self.clients.poll_recv(cx)) else {
            return Poll::Pending;
        };
        let info = ConnInfo::new(Endpoint::custom("pipe"), self.local.clone());
        Poll::Ready(Ok(Connecting::ready(Conn::new(TokioIo::new(stream), info))))
    }

    fn stop(&mut self) -> Duration {
        self.clients.close();
        Duration::ZERO
    }
}

struct Pipes(Arc<Subscribers>);

impl Subject for Pipes {
    const NAME: &str = "pipe";
    type Transport = Pipe;
    type Stream = DuplexStream;

    fn transport(&self) -> Pipe {
        Pipe(Arc::clone(&self.0))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<DuplexStream> {
        let (client, server) = duplex(1000);
        let all = self.0.all.lock().unwrap();
        let listening = all.iter().find(|(local, _)| local == endpoint);
        let (_, listening) = listening.ok_or(io::ErrorKind::NotFound)?;
        listening
            .send(server)
            .map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(client)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::PortZero)
            .without(Capability::PeerState)
            .without(Capability::Reset)
    }
}

fn main() -> ExitCode {
    Suite::new().with(Pipes(Arc::default())).run()
}
