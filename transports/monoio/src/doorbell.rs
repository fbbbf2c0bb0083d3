//! Waiting for clients: the driver says when there may be some.
use crate::Driver;
use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    net::SocketFlags,
};
use std::{
    future::Future,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
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
    /// An epoll instance, which is readable when the socket is. Whatever monoio has, it closes when its ring is next looked after; the socket has to be closed, and
    /// its address free, as soon as the listener is dropped.
    wire: Rc<monoio::net::UnixStream>,
    wait: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
}

impl Doorbell {
    pub(crate) fn new(socket: impl AsFd) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, socket, EventData::new_u64(0), EventFlags::IN)?;
        // Nothing is ever read from it: it's a stream in name only, since monoio waits for nothing else.
        let wire = monoio::net::UnixStream::from_std(UnixStream::from(epoll))?;
        Ok(Self {
            wire: Rc::new(wire),
            wait: None,
        })
    }

    /// Whether nobody has rung since it was waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    /// Ready when clients may be there.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wire = &self.wire;
        let wait = self.wait.get_or_insert_with(|| {
            let wire = Rc::clone(wire);
            Box::pin(async move { wire.readable(false).await })
        });
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
