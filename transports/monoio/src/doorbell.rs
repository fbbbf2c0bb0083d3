//! Waiting for clients: the driver says when there may be some.
use crate::Driver;
use monoio::net::{TcpListener, UnixListener};
use rustix::net::SocketFlags;
use std::{
    future::Future,
    io, net,
    os::unix,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// Waits for clients at a listening socket.
///
/// Those who are there are accepted by accept4(2), not by an operation of the ring: monoio's doesn't set `CLOEXEC`, so connections would stay open in
/// processes that the app starts; it needs a blocking socket, which an adopted one may not become for its other owners; and what an operation accepts after the last
/// look belongs to nobody.
pub(crate) struct Doorbell {
    listen: Box<dyn Fn() -> Wait>,
    wait: Option<Wait>,
}

type Wait = Pin<Box<dyn Future<Output = io::Result<()>>>>;

impl Doorbell {
    /// With a duplicate of the socket, for monoio to wait for.
    pub(crate) fn tcp(socket: &net::TcpListener) -> io::Result<Self> {
        let listener = Rc::new(TcpListener::from_std(socket.try_clone()?)?);
        Ok(Self::new(move || {
            let listener = Rc::clone(&listener);
            Box::pin(async move { listener.readable(false).await })
        }))
    }

    /// With a duplicate of the socket, for monoio to wait for.
    pub(crate) fn unix(socket: &unix::net::UnixListener) -> io::Result<Self> {
        let listener = Rc::new(UnixListener::from_std(socket.try_clone()?)?);
        Ok(Self::new(move || {
            let listener = Rc::clone(&listener);
            Box::pin(async move { listener.readable(false).await })
        }))
    }

    fn new(listen: impl Fn() -> Wait + 'static) -> Self {
        Self {
            listen: Box::new(listen),
            wait: None,
        }
    }

    /// Whether nobody has rung since it was waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    /// Ready when clients may be there.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let listen = &self.listen;
        let wait = self.wait.get_or_insert_with(listen);
        // Whatever came of it: accept4 says more.
        wait.as_mut().poll(cx).map(|_| self.wait = None)
    }
}

/// How connections are accepted on this worker.
pub(crate) fn flags() -> SocketFlags {
    match Driver::current() {
        // The ring itself waits, if a socket lets it.
        Some(Driver::IoUring) => SocketFlags::CLOEXEC,
        _ => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
    }
}
