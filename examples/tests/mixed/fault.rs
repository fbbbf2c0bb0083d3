//! A transport with one fault, on the runtime of the transport that it wraps.
use anyport::{
    Listener, Result, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::{AcceptErrorKind, Connecting, Endpoint},
};
use std::{
    io,
    panic::resume_unwind,
    task::{Context, Poll},
    time::Duration,
};

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The last worker cannot listen.
    CannotListen,
    /// The last worker panics before it listens.
    PanicsAtStart,
    /// The worker that accepts a client panics.
    PanicsAtAccept,
    /// Accept fails permanently on the worker to which a client connects.
    CannotAccept,
}

/// `T` with a fault.
#[derive(Clone)]
pub(crate) struct Faulty<T>(pub(crate) T, pub(crate) Fault);

impl<T: Transport> Transport for Faulty<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = Faulty<T::Listener>;

    fn workers(&self) -> Workers {
        self.0.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.0.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.0.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.0.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        let is_last = worker.index() + 1 == worker.count();
        match self.1 {
            Fault::CannotListen if is_last => return Err(io::Error::other("a deliberate fault")),
            Fault::PanicsAtStart if is_last => resume_unwind(Box::new("deliberate")),
            _ => {}
        }
        Ok(Faulty(self.0.listen(socket, worker)?, self.1))
    }
}

impl<L: Listener> Listener for Faulty<L> {
    type Connection = L::Connection;
    type Handshake = L::Handshake;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connecting<L::Handshake>>> {
        let accepted = self.0.poll_accept(cx);
        match self.1 {
            Fault::PanicsAtAccept if accepted.is_ready() => resume_unwind(Box::new("deliberate")),
            Fault::CannotAccept => accepted.map(|_| Err(io::Error::other("a deliberate fault"))),
            _ => accepted,
        }
    }

    fn stop(&mut self) -> Duration {
        self.0.stop()
    }

    fn classify(&self, _: &io::Error) -> AcceptErrorKind {
        AcceptErrorKind::Fatal
    }
}
