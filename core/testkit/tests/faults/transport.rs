//! Pipes inside this process, whose listeners have faults.
use crate::{Fault, connection::PipeConnection};
use anyport_core::{
    Listener, Result, Transport,
    runtime::{Tokio, TokioPerCore, Worker},
    transport::{Connecting, Endpoint},
};
use std::{
    future::Ready,
    io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// The listeners, by endpoint.
static LISTENING: Mutex<Vec<(Endpoint, UnboundedSender<DuplexStream>)>> = Mutex::new(Vec::new());

/// The client's end of a connection.
pub(crate) fn connect(endpoint: &Endpoint) -> io::Result<DuplexStream> {
    let (client, server) = duplex(1000);
    let all = LISTENING.lock().unwrap();
    let listening = all.iter().find(|(local, _)| local == endpoint);
    let (_, listening) = listening.ok_or(io::ErrorKind::NotFound)?;
    let refused = |_| io::ErrorKind::ConnectionRefused;
    listening.send(server).map_err(refused)?;
    Ok(client)
}

fn open(fault: Fault) -> Pipes {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let local = Endpoint::custom(format!("pipe:{}", LAST.fetch_add(1, Relaxed)));
    let (sender, clients) = unbounded_channel();
    LISTENING.lock().unwrap().push((local.clone(), sender));
    Pipes {
        local,
        clients,
        fault,
    }
}

#[derive(Clone)]
pub(crate) struct Pipe(pub(crate) Fault);

impl Transport for Pipe {
    type Runtime = Tokio;
    type Socket = Pipes;
    type Listener = Pipes;

    fn open(&self, workers: usize) -> Result<Vec<Pipes>> {
        Ok((0..workers).map(|_| open(self.0)).collect())
    }

    fn endpoint(&self, socket: &Pipes) -> io::Result<Endpoint> {
        Ok(socket.local.clone())
    }

    fn listen(&self, socket: Pipes, _: &Worker) -> io::Result<Pipes> {
        Ok(socket)
    }
}

/// It opens one socket, however many workers there are.
#[derive(Clone)]
pub(crate) struct PipePerCore;

impl Transport for PipePerCore {
    type Runtime = TokioPerCore;
    type Socket = Pipes;
    type Listener = Pipes;

    fn open(&self, _: usize) -> Result<Vec<Pipes>> {
        Ok(vec![open(Fault::TooFewSockets)])
    }

    fn endpoint(&self, socket: &Pipes) -> io::Result<Endpoint> {
        Ok(socket.local.clone())
    }

    fn listen(&self, socket: Pipes, _: &Worker) -> io::Result<Pipes> {
        Ok(socket)
    }
}

pub(crate) struct Pipes {
    local: Endpoint,
    clients: UnboundedReceiver<DuplexStream>,
    fault: Fault,
}

impl Listener for Pipes {
    type Connection = PipeConnection;
    type Handshake = Ready<io::Result<PipeConnection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let stream = match self.clients.poll_recv(cx) {
            Poll::Pending if self.fault == Fault::WouldBlock => {
                return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
            }
            polled => ready!(polled),
        };
        let Some(stream) = stream else {
            return Poll::Pending;
        };
        let connection = PipeConnection::new(stream, self.local.clone(), self.fault);
        Poll::Ready(Ok(Connecting::ready(connection)))
    }

    fn stop(&mut self) -> Duration {
        self.clients.close();
        Duration::ZERO
    }
}
