//! The state of one WebSocket, and how it ends.
use super::{
    deadline::Heartbeat,
    io::Io,
    pool::{self, ReadBuffer},
    writers::Writers,
};
use crate::{
    config::Settings,
    error::Error,
    message::{CloseFrame, Message, close_code},
    protocol::{Assembler, MAX_CONTROL, Outgoing, Side, Violation},
};
use anyport_core::transport::Drain;
use bytes::{BufMut, Bytes, BytesMut};
use hyper::rt::Write;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Instant,
};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

pub(super) const PING: OpCode = OpCode::Control(Control::Ping);
pub(super) const PONG: OpCode = OpCode::Control(Control::Pong);
const CLOSE: OpCode = OpCode::Control(Control::Close);
const TEXT: OpCode = OpCode::Data(Data::Text);
const BINARY: OpCode = OpCode::Data(Data::Binary);

/// The state of a WebSocket between its handshake and its end (RFC 6455 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Messages are sent and received.
    Open,
    /// This end has sent its close and waits for the peer's close. Messages that arrive before it
    /// are discarded.
    Closing,
    /// The peer broke the protocol, and this end has sent a close. Further bytes are discarded
    /// until the peer ends the connection, because a reset could destroy the close before the peer
    /// reads it.
    Failing,
    /// Both ends have sent a close, and this client waits for the server to end the connection
    /// first (RFC 6455 7.1.1).
    #[cfg(feature = "client")]
    Lingering,
    /// Both ends have sent a close. The remaining bytes are written, then this half of the
    /// connection is shut down.
    Finishing,
    /// The WebSocket has ended.
    Closed,
}

/// The last result of `recv` before `None`. There is no outcome if this end closed and the peer
/// answered.
#[derive(Debug)]
enum Outcome {
    /// The peer closed.
    ByPeer(Option<CloseFrame>),
    Failed(Error),
}

/// One WebSocket. A server has many idle ones, so the size has a budget, which a test checks.
pub(crate) struct Socket {
    pub(super) io: Io,
    pub(super) settings: Arc<Settings>,
    pub(super) incoming: Assembler,
    /// Bytes that were read and not yet processed.
    pub(super) unread: Option<Box<ReadBuffer>>,
    pub(super) out: Outgoing,
    rare: Option<Box<Rare>>,
    #[cfg(feature = "deflate")]
    deflater: Option<Box<crate::protocol::Deflater>>,
    /// The subprotocol, as an index into the subprotocols of the settings.
    protocol: Option<u16>,
    pub(super) state: State,
    pub(super) heartbeat: Heartbeat,
    /// Some bytes were written, but not flushed.
    pub(super) is_unflushed: bool,
    /// The last write was pending.
    pub(super) is_blocked: bool,
    pub(super) has_shut_down: bool,
    /// The drain closed the WebSocket. The grace is the deadline then, so that the report counts a
    /// peer that does not answer as aborted.
    pub(super) is_drained: bool,
}

/// State that hardly any WebSocket has while it waits.
#[derive(Default)]
pub(super) struct Rare {
    outcome: Option<Box<Outcome>>,
    /// The payload of the latest ping, if there was no room for the answer.
    pub(super) pong: Option<Box<Bytes>>,
    pub(super) writers: Writers,
    /// When the peer last reached the limit of frames without data.
    pub(super) busy_since: Option<Instant>,
    last_message: Option<Box<Message>>,
}

/// The parameters that a handshake negotiated.
#[derive(Debug, Default)]
pub(crate) struct Agreed {
    /// The subprotocol, as an index into the subprotocols of the settings.
    pub(crate) protocol: Option<u16>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<crate::handshake::AgreedDeflate>,
}

impl Socket {
    #[cfg_attr(
        not(feature = "deflate"),
        expect(
            clippy::needless_pass_by_value,
            reason = "with `deflate`, it has values to move"
        )
    )]
    pub(crate) fn new(io: Io, settings: Arc<Settings>, agreed: Agreed) -> Self {
        let incoming = Assembler::new(io.side(), settings.sizes);
        #[cfg(feature = "deflate")]
        let (incoming, deflater) = match agreed.deflate {
            Some(deflate) => (
                incoming.with_inflater(deflate.inflater()),
                Some(Box::new(deflate.deflater())),
            ),
            None => (incoming, None),
        };
        Self {
            io,
            settings,
            incoming,
            unread: None,
            out: Outgoing::default(),
            rare: None,
            #[cfg(feature = "deflate")]
            deflater,
            protocol: agreed.protocol,
            state: State::Open,
            heartbeat: Heartbeat::default(),
            is_unflushed: false,
            is_blocked: false,
            has_shut_down: false,
            is_drained: false,
        }
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        let index = usize::from(self.protocol?);
        self.settings.protocols.get(index).map(String::as_str)
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The rarely needed state, if there is any.
    pub(super) fn has_rare(&mut self) -> Option<&mut Rare> {
        self.rare.as_deref_mut()
    }

    pub(crate) fn io(&self) -> &Io {
        &self.io
    }

    pub(crate) fn set_last_message(&mut self, message: Option<Message>) {
        if message.is_some() || self.rare.is_some() {
            self.rare().last_message = message.map(Box::new);
        }
    }

    /// Queues a message.
    pub(crate) fn push(&mut self, message: Message) -> Result<(), Error> {
        if self.state != State::Open {
            return Err(Error::Closed);
        }
        let (opcode, payload) = match message {
            Message::Text(text) => (TEXT, text.into()),
            Message::Binary(bytes) => (BINARY, bytes),
            Message::Ping(bytes) | Message::Pong(bytes) if bytes.len() > MAX_CONTROL => {
                return Err(Error::ControlTooLong);
            }
            Message::Ping(bytes) => (PING, bytes),
            Message::Pong(bytes) => (PONG, bytes),
            Message::Close(frame) => {
                self.close(frame.as_ref());
                return Ok(());
            }
        };
        #[cfg(feature = "deflate")]
        if let (Some(deflater), TEXT | BINARY) = (&mut self.deflater, opcode)
            && let Some(deflated) = deflater.deflate(&payload)
        {
            self.queue(opcode, true, deflated);
            return Ok(());
        }
        self.queue(opcode, false, payload);
        Ok(())
    }

    /// Queues a frame.
    pub(super) fn queue(&mut self, opcode: OpCode, is_compressed: bool, payload: Bytes) {
        let (side, buffer) = (self.incoming.side(), pool::write_buffer);
        self.out.push(side, opcode, is_compressed, payload, buffer);
    }

    /// Begins to close the WebSocket.
    pub(crate) fn close(&mut self, frame: Option<&CloseFrame>) {
        if self.state == State::Open {
            self.push_close(frame.map(|frame| (frame.code, &*frame.reason)));
            self.enter(State::Closing);
        }
    }

    fn push_close(&mut self, frame: Option<(u16, &str)>) {
        let mut payload = BytesMut::new();
        if let Some((code, mut reason)) = frame {
            // The reason is truncated between two characters.
            while reason.len() > MAX_CONTROL - 2 {
                let mut chars = reason.chars();
                chars.next_back();
                reason = chars.as_str();
            }
            payload.put_u16(code);
            payload.put_slice(reason.as_bytes());
        }
        self.queue(CLOSE, false, payload.freeze());
    }

    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.heartbeat.restart();
        if let Some(rare) = self.has_rare() {
            rare.pong = None;
            // In the new state, both tasks wait for other events.
            rare.writers.wake_all();
        }
    }

    /// The peer has sent a close. The answer has the same code (RFC 6455 5.5.1). A close that is
    /// itself an answer gets none.
    pub(super) fn closed_by_peer(&mut self, frame: Option<CloseFrame>) {
        if self.state == State::Open {
            self.push_close(frame.as_ref().map(|frame| (frame.code, &*frame.reason)));
            self.rare().outcome = Some(Box::new(Outcome::ByPeer(frame)));
        }
        self.enter(match self.incoming.side() {
            Side::Server => State::Finishing,
            #[cfg(feature = "client")]
            Side::Client => State::Lingering,
        });
    }

    pub(super) fn fail(&mut self, violation: Violation) {
        if self.state == State::Open {
            self.push_close(Some((violation.code, violation.what)));
            self.rare().outcome = Some(Box::new(Outcome::Failed(violation.into())));
        }
        self.unread = None;
        self.enter(State::Failing);
    }

    /// Ends the WebSocket at once: nothing more is written or read.
    pub(super) fn end(&mut self, why: Option<Error>) {
        if let Some(error) = why {
            // The first reason is reported.
            let outcome = &mut self.rare().outcome;
            outcome.get_or_insert_with(|| Box::new(Outcome::Failed(error)));
        }
        self.out.clear();
        self.unread = None;
        self.enter(State::Closed);
    }

    /// The last result of `recv`. Later calls return `None`.
    pub(super) fn take_outcome(&mut self) -> Option<Result<Message, Error>> {
        Some(match *self.has_rare()?.outcome.take()? {
            Outcome::ByPeer(frame) => Ok(Message::Close(frame)),
            Outcome::Failed(error) => Err(error),
        })
    }

    pub(crate) fn drain(&self) -> Drain {
        self.io.drain()
    }

    /// Closes the WebSocket if the server drains. Returns whether it did. Tasks that wait to read
    /// or to write are woken when the drain begins.
    pub(super) fn check_drain(&mut self, cx: &mut Context<'_>) -> bool {
        let may_close = self.state == State::Open && self.settings.drain_reason.is_some();
        if !may_close || self.io.poll_drain(cx).is_pending() {
            return false;
        }
        self.close_in_drain();
        true
    }

    /// Not inlined, because each message checks the drain.
    #[inline(never)]
    fn close_in_drain(&mut self) {
        self.is_drained = true;
        if let Some(last) = self.has_rare().and_then(|rare| rare.last_message.take()) {
            let _ = self.push(*last);
        }
        let reason = self.settings.drain_reason.unwrap_or_default();
        self.close(Some(&CloseFrame::new(close_code::AWAY, reason)));
    }
}

/// Sends a close if the WebSocket is still open, as far as the system accepts the bytes at once.
impl Drop for Socket {
    fn drop(&mut self) {
        if self.state == State::Open {
            let code = match thread::panicking() {
                true => close_code::ERROR,
                false => close_code::NORMAL,
            };
            self.push_close(Some((code, "")));
        }
        let mut cx = Context::from_waker(Waker::noop());
        while !self.out.is_empty()
            && let Poll::Ready(Ok(n @ 1..)) =
                Pin::new(&mut self.io).poll_write(&mut cx, self.out.first())
        {
            self.out.advance(n);
        }
        if self.state != State::Closed && self.out.is_empty() {
            let _ = Pin::new(&mut self.io).poll_shutdown(&mut cx);
        }
        if let Some(buffer) = self.out.reclaim() {
            pool::recycle_write_buffer(buffer);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("info", self.io.info())
            .field("state", &self.state)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
