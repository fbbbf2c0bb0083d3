//! A WebSocket: it receives, sends, and closes.
mod deadline;
mod io;
mod pool;
mod receive;
mod split;
mod state;
mod write;
mod writers;

#[cfg(feature = "client")]
pub(crate) use self::io::ClientStream;
pub(crate) use self::{
    io::Io,
    state::{Agreed, Socket},
    writers::Role,
};
pub use split::{Receiver, Sender};

use crate::{
    error::Error,
    message::{CloseFrame, Message},
};
use anyport_core::{ConnInfo, transport::Drain};
use futures_util::{Sink, Stream};
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// One end of a WebSocket: that of a server, or that of a client.
///
/// Besides receiving messages, `recv` runs the protocol. It answers pings, sends pings to a silent
/// peer, answers the peer's close, and closes with 1001 when its server drains. So a task must call
/// `recv` until it returns `None`.
///
/// ```
/// # use anyport_ws::{Message, WebSocket};
/// async fn echo(mut socket: WebSocket) {
///     while let Some(Ok(message)) = socket.recv().await {
///         if message.is_data() && socket.send(message).await.is_err() {
///             return;
///         }
///     }
/// }
/// ```
///
/// While a WebSocket waits for a message, it keeps no buffer. It works on any thread. It also
/// implements [`Stream`] and [`Sink`].
///
/// A client (`ClientHandshake`, feature `client`) has no server that drains. After both
/// closes, its `recv` also waits until the server ends the connection (RFC 6455 7.1.1), for
/// [`Config::with_close_timeout`](crate::Config::with_close_timeout) at most.
///
/// If the WebSocket is dropped while open, the peer gets a close with 1000, or with 1011 in a
/// panic. A drop does not wait for the peer's close, but [`close`](Self::close) does.
///
/// # Cancellation
///
/// Dropping the future of `recv` loses no message. If you drop the future of `send`, `feed` or
/// `flush`, the message is sent completely or not at all.
#[derive(Debug)]
pub struct WebSocket(Box<Socket>);

impl WebSocket {
    pub(crate) fn new(socket: Socket) -> Self {
        Self(Box::new(socket))
    }

    /// Receives the next message. `None`: the WebSocket is closed.
    ///
    /// If the peer closes, the last message is [`Message::Close`]. It has been answered already.
    ///
    /// # Errors
    ///
    /// The connection failed, the peer broke the protocol, or the peer was silent for too long: see
    /// [`Error`]. After an error, `recv` returns `None`.
    pub async fn recv(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.0.poll_recv(cx)).await
    }

    /// Sends a message, after the messages that were fed before. Ready when the system has accepted
    /// all of them.
    ///
    /// A [`Message::Close`] begins to close the WebSocket. Then call [`recv`](Self::recv) until it
    /// returns `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if either end has begun to close the WebSocket, or if the server drains.
    /// Otherwise, the connection failed.
    pub fn send(&mut self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        let mut message = Some(message);
        poll_fn(move |cx| self.0.poll_send(&mut message, cx))
    }

    /// Queues a message. The next [`flush`](Self::flush) or [`send`](Self::send) writes the queue,
    /// and so does [`recv`](Self::recv) before it waits. So many small messages take one write.
    ///
    /// The future waits while more than
    /// [`Config::with_max_write_buffer`](crate::Config::with_max_write_buffer) bytes are queued.
    ///
    /// # Errors
    ///
    /// The errors are those of [`send`](Self::send).
    pub fn feed(&mut self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        let mut message = Some(message);
        poll_fn(move |cx| self.0.poll_feed(&mut message, cx))
    }

    /// Writes all queued messages.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.0.poll_flush(Role::Sender, cx)).await
    }

    /// Closes the WebSocket, and waits for the peer's close, for
    /// [`Config::with_close_timeout`](crate::Config::with_close_timeout) at most. Messages that the
    /// peer sends before its close are discarded.
    ///
    /// # Errors
    ///
    /// The connection failed, or the peer did not close in time.
    pub async fn close(mut self, frame: Option<CloseFrame>) -> Result<(), Error> {
        self.0.close(frame.as_ref());
        poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Splits the WebSocket for two tasks: one that sends, and one that receives. The latter must
    /// call `recv` until it returns `None`.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        split::split(self.0)
    }

    /// The negotiated subprotocol.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol()
    }

    /// The facts about the connection: the peer's address, TLS, the worker.
    #[must_use]
    pub fn info(&self) -> &ConnInfo {
        self.0.io().info()
    }

    /// Whether its server drains, as a flag and as a future. You need it only for your own work,
    /// because `recv` closes the WebSocket by itself.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.0.drain()
    }

    /// Sets the message that is sent right before the close when the server drains. Default: none.
    pub fn set_last_message(&mut self, message: impl Into<Option<Message>>) {
        self.0.set_last_message(message.into());
    }

    /// Receives until the WebSocket is closed.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(message) = ready!(self.0.poll_recv(cx)) {
            message?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// `poll_close` is [`WebSocket::close`] without a code.
impl Sink<Message> for WebSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(Role::Sender, cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.0.push(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_flush(Role::Sender, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.close(None);
        self.poll_end(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle WebSocket consists of this value, its task and its connection.
    #[test]
    fn socket_stays_within_its_size_budget() {
        assert!(size_of::<Socket>() <= 176, "{}", size_of::<Socket>());
        assert!(
            size_of::<crate::Opening>() <= 8,
            "{}",
            size_of::<crate::Opening>()
        );
    }
}
