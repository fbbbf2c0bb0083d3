//! The WebSocket of an app: it receives, sends, and closes.
mod deadline;
mod pool;
mod receive;
mod split;
mod state;
mod write;
mod writers;

pub(crate) use self::{
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

/// A WebSocket: the server's end.
///
/// Receive until there's nothing more, and send what you like. Beside that, `recv` does what the
/// protocol asks for: it answers pings, sends pings to a silent peer, answers the peer's close, and
/// closes with 1001 when the server drains. So have a task that receives for as long as the
/// WebSocket lives.
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
/// While it waits for a message, it keeps no buffer. It works on any thread. It's a [`Stream`] and
/// a [`Sink`], too.
///
/// If it's dropped while open, the peer gets a close with 1000, or with 1011 in a panic. Dropping
/// doesn't wait for the peer's close: [`close`](Self::close) does.
///
/// # Cancellation
///
/// Dropping the future of `recv` loses no message. If you drop the future of `send`, `feed` or
/// `flush`, the message may have been sent or not, but never a part of it.
#[derive(Debug)]
pub struct WebSocket(Box<Socket>);

impl WebSocket {
    pub(crate) fn new(socket: Socket) -> Self {
        Self(Box::new(socket))
    }

    /// The next message. `None`: the WebSocket is closed.
    ///
    /// If the peer closes, [`Message::Close`] comes last, and has been answered.
    ///
    /// # Errors
    ///
    /// The connection failed, the peer broke the protocol, or it gave no sign of life: see
    /// [`Error`]. After an error comes `None`.
    pub async fn recv(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.0.poll_recv(cx)).await
    }

    /// Sends a message, and what was fed before: ready when the system has taken it.
    ///
    /// A [`Message::Close`] begins to close the WebSocket; receive then, until there's nothing
    /// more.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if either end has begun to close it, or the server drains; or the
    /// connection failed.
    pub fn send(&mut self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        let mut message = Some(message);
        poll_fn(move |cx| self.0.poll_send(&mut message, cx))
    }

    /// Adds a message to those to be written. The next [`flush`](Self::flush) or
    /// [`send`](Self::send) writes them, or [`recv`](Self::recv) before it waits. So many small
    /// messages are one write.
    ///
    /// It waits while more than
    /// [`Config::with_max_write_buffer`](crate::Config::with_max_write_buffer) bytes are to be
    /// written.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed(&mut self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        let mut message = Some(message);
        poll_fn(move |cx| self.0.poll_feed(&mut message, cx))
    }

    /// Writes what was fed.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.0.poll_flush(Role::Sender, cx)).await
    }

    /// Closes the WebSocket, and waits for the peer's close, for
    /// [`Config::with_close_timeout`](crate::Config::with_close_timeout) at the most. What the peer
    /// sends before it is thrown away.
    ///
    /// # Errors
    ///
    /// The connection failed, or the peer's close didn't come.
    pub async fn close(mut self, frame: Option<CloseFrame>) -> Result<(), Error> {
        self.0.close(frame.as_ref());
        poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Divides it for two tasks: one that sends, and one that receives. The latter has to call
    /// `recv` for as long as the WebSocket lives.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        split::split(self.0)
    }

    /// The subprotocol that was agreed on.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol()
    }

    /// The facts about its connection: the peer's address, TLS, the worker.
    #[must_use]
    pub fn info(&self) -> &ConnInfo {
        self.0.io().info()
    }

    /// Whether the server drains, as a flag and as a future. You need it only for work of your own:
    /// `recv` closes the WebSocket.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.0.drain()
    }

    /// Sets the message that is sent right before the close when the server drains. Default: none.
    pub fn set_last_message(&mut self, message: impl Into<Option<Message>>) {
        self.0.set_last_message(message.into());
    }

    /// Receives to the end.
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

/// Its `poll_close` is [`WebSocket::close`] without a code.
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

    /// An idle WebSocket consists of this, its task and its connection.
    #[test]
    fn a_socket_keeps_its_size() {
        assert!(size_of::<Socket>() <= 176, "{}", size_of::<Socket>());
        assert!(
            size_of::<crate::Opening>() <= 8,
            "{}",
            size_of::<crate::Opening>()
        );
    }
}
