//! Assembles messages from bytes. The messages do not depend on how the bytes are split into reads.
//!
//! The assembler keeps the parts of an incomplete message, and nothing else. So a read buffer need
//! not outlive the poll that filled it, unless it holds another message.
#[cfg(feature = "deflate")]
use super::deflate::Inflater;
use super::{
    Sizes,
    frame::{Header, Kind, MAX_HEADER, apply_mask},
    partial::{Partial, text},
    side::Side,
    violation::Violation,
};
use crate::message::{CloseFrame, Message, close_code};
use bytes::Bytes;

/// A message or a control frame of the peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A text, or bytes.
    Message(Message),
    Ping(Bytes),
    Pong,
    Close(Option<CloseFrame>),
}

/// Assembles messages from bytes.
#[derive(Debug)]
pub(crate) struct Assembler {
    side: Side,
    sizes: Sizes,
    /// An incomplete header.
    head: [u8; MAX_HEADER],
    head_len: u8,
    frame: Option<Frame>,
    /// An incomplete message.
    message: Option<Box<Partial>>,
    /// The incomplete payload of a control frame.
    control: Option<Box<Control>>,
    /// How many frames carried no data since the count was last set to 0.
    overhead: u32,
    #[cfg(feature = "deflate")]
    inflater: Option<Box<Inflater>>,
}

/// At most 125 bytes.
type Control = Vec<u8>;

/// A frame whose payload is incomplete.
#[derive(Clone, Copy, Debug)]
struct Frame {
    header: Header,
    seen: u64,
}

impl Frame {
    fn remaining(&self) -> u64 {
        self.header.length - self.seen
    }
}

impl Assembler {
    pub(crate) fn new(side: Side, sizes: Sizes) -> Self {
        Self {
            side,
            sizes,
            head: [0; MAX_HEADER],
            head_len: 0,
            frame: None,
            message: None,
            control: None,
            overhead: 0,
            #[cfg(feature = "deflate")]
            inflater: None,
        }
    }

    /// This end of the WebSocket.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Sets the inflater for compressed messages.
    #[cfg(feature = "deflate")]
    pub(crate) fn with_inflater(mut self, inflater: Inflater) -> Self {
        self.inflater = Some(Box::new(inflater));
        self
    }

    /// The next complete message or control frame. `used` becomes the number of bytes that were
    /// consumed; their contents are overwritten. `None`: all bytes were consumed, and more are
    /// needed.
    pub(crate) fn next(
        &mut self,
        bytes: &mut [u8],
        used: &mut usize,
    ) -> Result<Option<Incoming>, Violation> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.begin(bytes, used)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let rest = &mut bytes[*used..];
            let take = usize::try_from(frame.remaining())
                .map_or(rest.len(), |remaining| remaining.min(rest.len()));
            let piece = &mut rest[..take];
            *used += take;
            if let Some(mask) = frame.header.mask {
                apply_mask(piece, mask, frame.seen);
            }
            let is_complete = frame.remaining() == take as u64;
            let is_whole = is_complete && frame.seen == 0 && self.message.is_none();
            self.frame = (!is_complete).then_some(Frame {
                seen: frame.seen + take as u64,
                ..frame
            });
            let incoming = match frame.header.kind {
                kind if kind.is_control() => self.control(kind, piece, is_complete)?,
                kind if is_whole && frame.header.is_final && kind != Kind::Continuation => {
                    Some(self.whole(frame.header, piece)?)
                }
                _ => self.data(frame, piece, is_complete)?,
            };
            if incoming.is_some() || !is_complete {
                return Ok(incoming);
            }
        }
    }

    /// The buffer into which the bytes of a large frame are read, without a copy.
    pub(crate) fn direct(&mut self) -> Option<&mut [u8]> {
        /// The remaining bytes of a smaller frame are read together with the next frames.
        const MIN_DIRECT: u64 = 8 * 1024;
        let frame = self.frame.filter(|frame| frame.remaining() >= MIN_DIRECT)?;
        Some(self.message.as_mut()?.room(frame.remaining()))
    }

    /// Processes `n` bytes that have been read into [`direct`](Self::direct).
    pub(crate) fn advance(&mut self, n: usize) -> Result<Option<Incoming>, Violation> {
        if let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) {
            let piece = message.filled(n);
            if let Some(mask) = frame.header.mask {
                apply_mask(piece, mask, frame.seen);
            }
            frame.seen += n as u64;
            message.check()?;
        }
        self.next(&mut [], &mut 0)
    }

    /// How many frames carried no data since the caller last set this to 0.
    pub(crate) fn overhead(&mut self) -> &mut u32 {
        &mut self.overhead
    }

    fn begin(&mut self, bytes: &[u8], used: &mut usize) -> Result<Option<Frame>, Violation> {
        let rest = &bytes[*used..];
        let known = usize::from(self.head_len);
        let take = rest.len().min(MAX_HEADER - known);
        let parsed = match known {
            0 => Header::parse(rest)?,
            _ => {
                self.head[known..known + take].copy_from_slice(&rest[..take]);
                Header::parse(&self.head[..known + take])?
            }
        };
        let Some((header, length)) = parsed else {
            if known == 0 {
                self.head[..take].copy_from_slice(&rest[..take]);
            }
            self.head_len = (known + take) as u8;
            *used += take;
            return Ok(None);
        };
        *used += length - known;
        self.head_len = 0;
        self.check(&header)?;
        Ok(Some(Frame { header, seen: 0 }))
    }

    fn check(&mut self, header: &Header) -> Result<(), Violation> {
        self.side.check(header.mask.is_some())?;
        let begins = matches!(header.kind, Kind::Text | Kind::Binary);
        if header.is_compressed && !(begins && self.inflates()) {
            return Err(Violation::protocol(
                "a frame has a reserved bit (RFC 6455 5.2)",
            ));
        }
        if header.kind.is_control() || (header.length == 0 && !header.is_final) {
            self.overhead = self.overhead.saturating_add(1);
        }
        if header.kind.is_control() {
            return Ok(());
        }
        let before = match (&self.message, begins) {
            (Some(message), false) => message.len(),
            (None, true) => 0,
            (None, false) => {
                return Err(Violation::protocol(
                    "a continuation has nothing to continue (RFC 6455 5.4)",
                ));
            }
            (Some(_), true) => {
                return Err(Violation::protocol(
                    "a message begins within another one (RFC 6455 5.4)",
                ));
            }
        };
        if header.length > self.sizes.frame as u64 {
            return Err(Violation::too_large("a frame is too long"));
        }
        if header.length > self.sizes.message.saturating_sub(before) as u64 {
            return Err(Violation::too_large("a message is too long"));
        }
        Ok(())
    }

    /// A message of a single frame that is complete, so nothing has to be kept.
    fn whole(&mut self, header: Header, payload: &[u8]) -> Result<Incoming, Violation> {
        let payload = match header.is_compressed {
            true => self.inflate(payload)?,
            false => Bytes::copy_from_slice(payload),
        };
        message(header.kind == Kind::Text, payload)
    }

    fn data(
        &mut self,
        frame: Frame,
        piece: &[u8],
        is_complete: bool,
    ) -> Result<Option<Incoming>, Violation> {
        let header = frame.header;
        let message = self.message.get_or_insert_with(|| {
            Box::new(Partial::new(
                header.kind == Kind::Text,
                header.is_compressed,
            ))
        });
        message.push(piece, frame.remaining())?;
        if !(is_complete && header.is_final) {
            return Ok(None);
        }
        let Some(partial) = self.message.take() else {
            return Ok(None);
        };
        let (is_text, is_compressed) = (partial.is_text, partial.is_compressed);
        let payload = partial.finish()?;
        let payload = match is_compressed {
            true => self.inflate(&payload)?,
            false => payload,
        };
        self::message(is_text, payload).map(Some)
    }

    fn control(
        &mut self,
        kind: Kind,
        piece: &[u8],
        is_complete: bool,
    ) -> Result<Option<Incoming>, Violation> {
        if !is_complete {
            self.control
                .get_or_insert_default()
                .extend_from_slice(piece);
            return Ok(None);
        }
        let payload = match self.control.take() {
            None => Bytes::copy_from_slice(piece),
            Some(mut payload) => {
                payload.extend_from_slice(piece);
                Bytes::from(*payload)
            }
        };
        Ok(Some(match kind {
            Kind::Ping => Incoming::Ping(payload),
            Kind::Pong => Incoming::Pong,
            _ => Incoming::Close(close(&payload)?),
        }))
    }

    fn inflates(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.inflater.is_some();
        #[cfg(not(feature = "deflate"))]
        false
    }

    fn inflate(&mut self, payload: &[u8]) -> Result<Bytes, Violation> {
        #[cfg(feature = "deflate")]
        if let Some(inflater) = &mut self.inflater {
            return inflater.inflate(payload, self.sizes.message);
        }
        Ok(Bytes::copy_from_slice(payload))
    }
}

fn message(is_text: bool, payload: Bytes) -> Result<Incoming, Violation> {
    Ok(Incoming::Message(match is_text {
        true => Message::Text(text(payload)?),
        false => Message::Binary(payload),
    }))
}

/// The payload of a close (RFC 6455 5.5.1): nothing, or a code and a reason.
fn close(payload: &Bytes) -> Result<Option<CloseFrame>, Violation> {
    let Some((code, _)) = payload.split_first_chunk() else {
        return match payload.is_empty() {
            true => Ok(None),
            false => Err(Violation::protocol(
                "a close has half a code (RFC 6455 5.5.1)",
            )),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !close_code::is_allowed(code) {
        return Err(Violation::protocol(
            "a close has a code that must not be sent (RFC 6455 7.4)",
        ));
    }
    let reason = text(payload.slice(2..))?;
    Ok(Some(CloseFrame { code, reason }))
}
