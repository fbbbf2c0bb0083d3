//! What is known of one WebSocket, and how it ends.
use super::{
    deadline::Deadline,
    pool::{self, ReadBuffer},
    writers::Writers,
};
use crate::{
    config::Settings,
    error::Error,
    message::{CloseFrame, Message, close_code},
    protocol::{Assembler, MAX_CONTROL, Outgoing, Violation},
};
use anyport_core::{Drain, Upgraded, runtime::SharedTimer};
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

/// Where a WebSocket is between its handshake and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Messages come and go.
    Open,
    /// This end's close is on its way; the peer's is awaited, and what comes before it is thrown
    /// away.
    Closing,
    /// The peer broke the protocol and is told so; what it sends is thrown away until it ends the
    /// connection, so that it isn't reset before it has read why.
    Failing,
    /// Both closes are known: what has to be written is, and then this end of the connection is
    /// ended.
    Finishing,
    /// There's nothing to be done.
    Over,
}

/// What `recv` says last; nothing if this end closed, and the peer answered.
#[derive(Debug)]
enum Outcome {
    /// The peer closed.
    ByPeer(Option<CloseFrame>),
    Failed(Error),
}

/// One WebSocket.
pub(crate) struct Socket {
    pub(super) io: Upgraded,
    pub(super) settings: Arc<Settings>,
    pub(super) timer: SharedTimer,
    pub(super) phase: Phase,
    outcome: Option<Box<Outcome>>,
    pub(super) incoming: Assembler,
    /// There's one only while there's something in it.
    pub(super) unread: Option<Box<ReadBuffer>>,
    pub(super) out: Outgoing,
    /// The latest ping, if there's no room for the answer.
    pub(super) pong: Option<Box<Bytes>>,
    /// Something was written, but not flushed.
    pub(super) is_unflushed: bool,
    /// The last write was pending.
    pub(super) is_blocked: bool,
    pub(super) has_shut_down: bool,
    pub(super) writers: Writers,
    pub(super) deadline: Deadline,
    /// It's closed for the drain, whose grace is the deadline: so the report tells who had to be
    /// cut off.
    pub(super) is_drained: bool,
    /// When the peer had sent so many frames without data.
    pub(super) busy_since: Option<Instant>,
    drain: Drain,
    /// Who is woken by the drain.
    drain_waker: Option<Waker>,
    last_message: Option<Box<Message>>,
    protocol: Option<Box<str>>,
    #[cfg(feature = "deflate")]
    deflater: Option<Box<crate::protocol::Deflater>>,
}

/// What a handshake agreed on.
#[derive(Debug, Default)]
pub(crate) struct Agreed {
    pub(crate) protocol: Option<Box<str>>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<crate::handshake::AgreedDeflate>,
}

impl Socket {
    pub(crate) fn new(
        io: Upgraded,
        settings: Arc<Settings>,
        timer: SharedTimer,
        agreed: Agreed,
    ) -> Self {
        let incoming = Assembler::new(settings.sizes);
        #[cfg(feature = "deflate")]
        let (incoming, deflater) = match agreed.deflate {
            Some(deflate) => (
                incoming.with_inflater(deflate.inflater()),
                Some(Box::new(deflate.deflater())),
            ),
            None => (incoming, None),
        };
        Self {
            drain: io.drain(),
            io,
            settings,
            timer,
            phase: Phase::Open,
            outcome: None,
            incoming,
            unread: None,
            out: Outgoing::default(),
            pong: None,
            is_unflushed: false,
            is_blocked: false,
            has_shut_down: false,
            writers: Writers::default(),
            deadline: Deadline::default(),
            is_drained: false,
            busy_since: None,
            drain_waker: None,
            last_message: None,
            protocol: agreed.protocol,
            #[cfg(feature = "deflate")]
            deflater,
        }
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn io(&self) -> &Upgraded {
        &self.io
    }

    pub(crate) fn set_last_message(&mut self, message: Option<Message>) {
        self.last_message = message.map(Box::new);
    }

    /// Puts a message behind those that are to be written.
    pub(crate) fn push(&mut self, message: Message) -> Result<(), Error> {
        if self.phase != Phase::Open {
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
            self.out.push(opcode, true, deflated, pool::write_buffer);
            return Ok(());
        }
        self.out.push(opcode, false, payload, pool::write_buffer);
        Ok(())
    }

    /// Begins to close it.
    pub(crate) fn close(&mut self, frame: Option<&CloseFrame>) {
        if self.phase == Phase::Open {
            self.push_close(frame.map(|frame| (frame.code, &*frame.reason)));
            self.enter(Phase::Closing);
        }
    }

    fn push_close(&mut self, frame: Option<(u16, &str)>) {
        let mut payload = BytesMut::new();
        if let Some((code, mut reason)) = frame {
            // No character is cut in two.
            while reason.len() > MAX_CONTROL - 2 {
                let mut chars = reason.chars();
                chars.next_back();
                reason = chars.as_str();
            }
            payload.put_u16(code);
            payload.put_slice(reason.as_bytes());
        }
        self.out
            .push(CLOSE, false, payload.freeze(), pool::write_buffer);
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.pong = None;
        self.deadline.restart();
        // It waits for another thing from now on, as may whoever sends.
        self.writers.wake_all();
    }

    /// The peer closes: it's answered by the same (RFC 6455 5.5.1), unless it answers itself.
    pub(super) fn closed_by_peer(&mut self, frame: Option<CloseFrame>) {
        if self.phase == Phase::Open {
            self.push_close(frame.as_ref().map(|frame| (frame.code, &*frame.reason)));
            self.outcome = Some(Box::new(Outcome::ByPeer(frame)));
        }
        self.enter(Phase::Finishing);
    }

    pub(super) fn fail(&mut self, violation: Violation) {
        if self.phase == Phase::Open {
            self.push_close(Some((violation.code, violation.what)));
            self.outcome = Some(Box::new(Outcome::Failed(violation.into())));
        }
        self.unread = None;
        self.enter(Phase::Failing);
    }

    /// The connection is of no use any more.
    pub(super) fn end(&mut self, why: Option<Error>) {
        // The first reason is the one that counts.
        if let (Some(error), None) = (why, &self.outcome) {
            self.outcome = Some(Box::new(Outcome::Failed(error)));
        }
        self.out.clear();
        self.unread = None;
        self.enter(Phase::Over);
    }

    /// What `recv` says once it's over: once.
    pub(super) fn last_word(&mut self) -> Option<Result<Message, Error>> {
        Some(match *self.outcome.take()? {
            Outcome::ByPeer(frame) => Ok(Message::Close(frame)),
            Outcome::Failed(error) => Err(error),
        })
    }

    pub(crate) fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Closes it if the server drains. `cx`: who is to be woken when that begins.
    pub(super) fn look_at_drain(&mut self, cx: Option<&mut Context<'_>>) {
        let Some(reason) = self
            .settings
            .drain_reason
            .filter(|_| self.phase == Phase::Open)
        else {
            return;
        };
        if !self.drain.is_draining() {
            let Some(cx) = cx else { return };
            // It costs a lock, so it's done once.
            let is_known = self
                .drain_waker
                .as_ref()
                .is_some_and(|known| known.will_wake(cx.waker()));
            if is_known || Pin::new(&mut self.drain).poll(cx).is_pending() {
                if !is_known {
                    self.drain_waker = Some(cx.waker().clone());
                }
                return;
            }
        }
        self.is_drained = true;
        if let Some(last) = self.last_message.take() {
            let _ = self.push(*last);
        }
        self.close(Some(&CloseFrame::new(close_code::AWAY, reason)));
    }
}

/// Dropped while it's open: the peer is told, as far as the system takes it at once.
impl Drop for Socket {
    fn drop(&mut self) {
        if self.phase == Phase::Open {
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
        if self.phase != Phase::Over && self.out.is_empty() {
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
            .field("phase", &self.phase)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
