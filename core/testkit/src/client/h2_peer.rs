//! An HTTP/2 client that sends the frames that a test chooses, within the windows. It does not wait
//! for the server's frames.
use crate::client::{
    Client,
    h2_frames::{PREFACE, SETTINGS_ACK, next_frame},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::{HashMap, HashSet};
use tokio::{
    io::AsyncReadExt,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

/// Frame types (RFC 9113 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
}

/// Error codes (RFC 9113 7).
pub(crate) mod code {
    pub(crate) const NO_ERROR: u32 = 0;
    pub(super) const STREAM_CLOSED: u32 = 5;
    pub(crate) const REFUSED_STREAM: u32 = 7;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
}

/// END_STREAM of DATA and HEADERS (RFC 9113 6.1, 6.2), and ACK of PING (6.7).
const END_STREAM: u8 = 1;
/// END_HEADERS: no CONTINUATION follows.
const END_HEADERS: u8 = 4;
/// The frame size that every peer must accept (RFC 9113 4.2).
pub(crate) const LARGEST: usize = 16 * 1024;

/// The initial window of the connection, and of a stream before the server's SETTINGS.
const WINDOW: i64 = 65_535;

/// A frame from the server.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Bytes,
}

impl Frame {
    fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// The number at the start of an RST_STREAM or a WINDOW_UPDATE.
    pub(crate) fn number(&self) -> u32 {
        self.payload
            .first_chunk()
            .map_or(u32::MAX, |b| u32::from_be_bytes(*b))
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE, if the frame sets it (RFC 9113 6.5.1).
    fn window(&self) -> Option<i64> {
        self.payload
            .chunks_exact(6)
            .find_map(|setting| match *setting {
                [0, 4, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d]).into()),
                _ => None,
            })
    }

    /// The last stream id and the error code of a GOAWAY.
    pub(crate) fn goaway(&self) -> (u32, u32) {
        let code = self.payload.get(4..).and_then(<[u8]>::first_chunk);
        (
            self.number(),
            code.map_or(u32::MAX, |b| u32::from_be_bytes(*b)),
        )
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By a complete response with this status.
    Answered(u16),
    /// By RST_STREAM with this code.
    Reset(u32),
}

/// The client.
pub(crate) struct Peer {
    write: Client,
    /// Frames that are sent before the client waits for the server.
    out: BytesMut,
    frames: UnboundedReceiver<Frame>,
    /// The initial window of a new stream (RFC 9113 6.9.2).
    window: i64,
    /// The difference from the initial window, by stream (RFC 9113 6.9.1); stream 0 is the
    /// connection.
    window_deltas: HashMap<u32, i64>,
    next: u32,
    statuses: HashMap<u32, u16>,
    /// Streams that have ended, and that no test has asked about.
    ended: HashMap<u32, End>,
    /// Streams that the server has reset.
    reset: HashSet<u32>,
    /// The last stream id and error code of each GOAWAY.
    pub(crate) goaways: Vec<(u32, u32)>,
    /// PINGs of the server that are not acknowledged yet.
    pub(crate) pings: Vec<Bytes>,
}

impl Peer {
    pub(crate) async fn new(client: Client) -> Self {
        let (write, mut read) = client.split();
        let (sender, frames) = unbounded_channel();
        tokio::spawn(async move {
            let mut bytes = BytesMut::new();
            // A reset is an end, too.
            while read.io.read_buf(&mut bytes).await.is_ok_and(|n| n > 0) {
                while let Some(frame) = next_frame(&mut bytes) {
                    let _ = sender.send(parse(frame));
                }
            }
        });
        let mut peer = Self {
            write,
            out: BytesMut::from(&[PREFACE, SETTINGS_ACK].concat()[..]),
            frames,
            window: WINDOW,
            window_deltas: HashMap::new(),
            next: 1,
            statuses: HashMap::new(),
            ended: HashMap::new(),
            reset: HashSet::new(),
            goaways: Vec::new(),
            pings: Vec::new(),
        };
        // The server may send as much as it likes.
        peer.send(kind::WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        peer.flush().await;
        peer
    }

    /// Sends heads of requests whose bodies follow, and returns their streams.
    pub(crate) async fn post(&mut self, head: &[u8], streams: usize) -> Vec<u32> {
        self.begin(head, 0, streams).await
    }

    /// Sends requests without bodies, and returns their streams.
    pub(crate) async fn get(&mut self, head: &[u8], streams: usize) -> Vec<u32> {
        self.begin(head, END_STREAM, streams).await
    }

    async fn begin(&mut self, head: &[u8], flags: u8, streams: usize) -> Vec<u32> {
        let ids: Vec<u32> = (self.next..).step_by(2).take(streams).collect();
        for id in &ids {
            self.send(kind::HEADERS, flags | END_HEADERS, *id, head);
            self.next = id + 2;
        }
        self.flush().await;
        ids
    }

    /// Sends this much of a body as the window allows, or less if the stream ends first. Returns
    /// `false` if the connection has ended.
    pub(crate) async fn data(&mut self, stream: u32, length: usize, end: bool) -> bool {
        let mut left = length;
        loop {
            let piece = left.min(LARGEST);
            while self.send_window(stream) < piece as i64 {
                if self.has_ended(stream) || !self.read_frame().await {
                    return self.has_ended(stream);
                }
            }
            for window in [0, stream] {
                *self.window_deltas.entry(window).or_default() -= piece as i64;
            }
            left -= piece;
            let flags = if end && left == 0 { END_STREAM } else { 0 };
            self.send(kind::DATA, flags, stream, &[b'x'; LARGEST][..piece]);
            if self.out.len() > 4 * LARGEST {
                self.flush().await;
            }
            if left == 0 {
                return true;
            }
        }
    }

    /// How much a stream may send, according to the frames read so far.
    fn send_window(&self, stream: u32) -> i64 {
        let window_deltas = |stream| self.window_deltas.get(&stream).copied().unwrap_or_default();
        (WINDOW + window_deltas(0)).min(self.window + window_deltas(stream))
    }

    /// Queues a frame, which is sent with those that follow (RFC 9113 4.1).
    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.out.put_uint(payload.len() as u64, 3);
        self.out.put_slice(&[kind, flags]);
        self.out.put_u32(stream);
        self.out.put_slice(payload);
    }

    async fn flush(&mut self) {
        if !self.out.is_empty() {
            self.write.send(self.out.split()).await;
        }
    }

    /// Acknowledges the server's PINGs.
    pub(crate) fn ack_pings(&mut self) {
        for payload in std::mem::take(&mut self.pings) {
            self.send(kind::PING, END_STREAM, 0, &payload);
        }
    }

    /// How a stream ended. Returns `None` if the connection ended first.
    pub(crate) async fn stream_end(&mut self, stream: u32) -> Option<End> {
        loop {
            if let Some(end) = self.ended.remove(&stream) {
                return Some(end);
            }
            if !self.read_frame().await {
                return None;
            }
        }
    }

    /// Whether a stream has ended, according to the frames read so far.
    pub(crate) fn has_ended(&self, stream: u32) -> bool {
        self.ended.contains_key(&stream)
    }

    /// Asserts that each of these streams gets a complete response with this status.
    pub(crate) async fn assert_answered(&mut self, streams: &[u32], status: u16) {
        for stream in streams {
            let end = self.stream_end(*stream).await;
            assert_eq!(
                end,
                Some(End::Answered(status)),
                "end of stream {stream}; GOAWAYs so far: {:?}",
                self.goaways
            );
        }
    }

    /// Asserts that the connection is usable: the next stream gets a response, and the server has
    /// sent no GOAWAY and reset no other stream.
    pub(crate) async fn assert_usable(&mut self) {
        let streams = self.get(&head("/"), 1).await;
        self.assert_answered(&streams, 200).await;
        assert_eq!(self.goaways, [], "expected no GOAWAY");
        assert!(
            self.ended.is_empty(),
            "expected no other stream to end, got {:?}",
            self.ended
        );
    }

    /// Processes the server's next frame. Returns `false` if the server has closed the connection.
    pub(crate) async fn read_frame(&mut self) -> bool {
        self.flush().await;
        let Some(frame) = self.frames.recv().await else {
            return false;
        };
        match frame.kind {
            kind::HEADERS => {
                self.statuses.insert(frame.stream, status(&frame.payload));
            }
            kind::RST_STREAM => {
                // A server may limit the time for which it ignores frames of a stream that it has
                // reset (RFC 9113 5.1). Frames that arrive later get another RST_STREAM.
                let is_first = self.reset.insert(frame.stream);
                if is_first || frame.number() != code::STREAM_CLOSED {
                    // After a response, it only says that the remaining request is not wanted.
                    let end = End::Reset(frame.number());
                    self.ended.entry(frame.stream).or_insert(end);
                }
            }
            kind::PING if frame.flags & END_STREAM == 0 => self.pings.push(frame.payload.clone()),
            kind::GOAWAY => self.goaways.push(frame.goaway()),
            kind::WINDOW_UPDATE => {
                *self.window_deltas.entry(frame.stream).or_default() += i64::from(frame.number())
            }
            kind::SETTINGS => self.window = frame.window().unwrap_or(self.window),
            _ => {}
        }
        if frame.ends_stream() {
            let status = self.statuses.remove(&frame.stream).unwrap_or(OTHER_STATUS);
            self.ended.insert(frame.stream, End::Answered(status));
        }
        true
    }
}

fn parse(mut frame: BytesMut) -> Frame {
    let head = frame.split_to(9);
    Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        payload: frame.freeze(),
    }
}

/// The header block of a POST: fields of the static table (RFC 7541 A), and literals (6.2.2).
pub(crate) fn head(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    literal(&mut block, 4, path);
    literal(&mut block, 1, "test");
    block
}

fn literal(block: &mut Vec<u8>, name: u8, value: &str) {
    block.extend([name, u8::try_from(value.len()).expect("a short value")]);
    block.extend(value.as_bytes());
}

/// Stands for every status outside the static table (RFC 7541 A), such as 504.
pub(crate) const OTHER_STATUS: u16 = 0;

/// The status in the header block of a response, where it comes first.
fn status(block: &[u8]) -> u16 {
    match block.first() {
        Some(indexed @ 0x88..=0x8e) => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]
        }
        _ => OTHER_STATUS,
    }
}
