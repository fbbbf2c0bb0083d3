//! A WebSocket that is split between two tasks: one sends, one receives.
use super::{Role, Socket};
use crate::{error::Error, message::Message};
use anyport_core::transport::Drain;
use futures_util::{Sink, Stream};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

/// The sending half of a [`WebSocket`](crate::WebSocket).
#[derive(Debug)]
pub struct Sender(Shared);

/// The receiving half of a [`WebSocket`](crate::WebSocket). A task must call `recv` until it
/// returns `None`: it also answers pings, checks deadlines and closes in a drain.
#[derive(Debug)]
pub struct Receiver(Shared);

/// The lock is held during a poll only.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Box<Socket>>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Box<Socket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn split(socket: Box<Socket>) -> (Sender, Receiver) {
    let shared = Shared(Arc::new(Mutex::new(socket)));
    (Sender(shared.clone()), Receiver(shared))
}

impl Sender {
    /// Does the same as [`WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// The errors are those of that method.
    pub fn send(&mut self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        let mut message = Some(message);
        poll_fn(move |cx| self.0.lock().poll_send(&mut message, cx))
    }

    /// Does the same as [`WebSocket::feed`](crate::WebSocket::feed).
    ///
    /// # Errors
    ///
    /// The errors are those of that method.
    pub fn feed(&mut self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        let mut message = Some(message);
        poll_fn(move |cx| self.0.lock().poll_feed(&mut message, cx))
    }

    /// Does the same as [`WebSocket::flush`](crate::WebSocket::flush).
    ///
    /// # Errors
    ///
    /// The errors are those of that method.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.0.lock().poll_flush(Role::Sender, cx)).await
    }

    /// Does the same as [`WebSocket::set_last_message`](crate::WebSocket::set_last_message).
    pub fn set_last_message(&mut self, message: impl Into<Option<Message>>) {
        self.0.lock().set_last_message(message.into());
    }
}

impl Receiver {
    /// Does the same as [`WebSocket::recv`](crate::WebSocket::recv).
    ///
    /// # Errors
    ///
    /// The errors are those of that method.
    pub async fn recv(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.0.lock().poll_recv(cx)).await
    }

    /// Does the same as [`WebSocket::drain`](crate::WebSocket::drain).
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.0.lock().drain()
    }
}

impl Stream for Receiver {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().poll_recv(cx)
    }
}

/// `poll_close` sends a close without a code. The other half receives the peer's close.
impl Sink<Message> for Sender {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.lock().poll_ready(Role::Sender, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.0.lock().push(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.lock().poll_flush(Role::Sender, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut socket = self.0.lock();
        socket.close(None);
        socket.poll_flush(Role::Sender, cx)
    }
}
