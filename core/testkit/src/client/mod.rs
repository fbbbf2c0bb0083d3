//! A small HTTP/1 client that sends the bytes that a test chooses, valid or not.
pub(crate) mod h2;
pub(crate) mod h2_frames;
pub(crate) mod h2_peer;

use crate::harness::watch::waiting;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, empty, join, sink};

/// The client's end of any connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}
pub(crate) type Io = Box<dyn Stream>;

/// A client for HTTP/1 whose bytes the test chooses.
pub(crate) struct Client {
    pub(crate) io: Io,
    buf: BytesMut,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }
}

impl Client {
    pub(crate) fn new(io: Io) -> Self {
        Self {
            io,
            buf: BytesMut::new(),
        }
    }

    /// Splits the client into a sender and a receiver. A client that sends much must read at the
    /// same time, or the server stops reading, too.
    pub(crate) fn split(self) -> (Self, Self) {
        let (read, write) = tokio::io::split(self.io);
        let sender = Self::new(Box::new(join(empty(), write)));
        let receiver = Self {
            io: Box::new(join(read, sink())),
            buf: self.buf,
        };
        (sender, receiver)
    }

    /// Sends bytes. A closed connection is not an error, because the response may still be unread.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes).await;
    }

    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        let _wait = waiting(format!("the server to read {} bytes", bytes.len()));
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(get(path)).await;
        self.response().await
    }

    /// The next response, which must be complete.
    pub(crate) async fn response(&mut self) -> Response {
        let response = self.try_response().await;
        response.expect("expected a complete response")
    }

    /// The next response. [`io::ErrorKind::UnexpectedEof`] means that it is truncated or missing.
    pub(crate) async fn try_response(&mut self) -> io::Result<Response> {
        let mut response = self.head().await?;
        response.body = self.body(&response.headers).await?;
        Ok(response)
    }

    /// The head of the next response. Its body, if there is one, stays unread.
    pub(crate) async fn head(&mut self) -> io::Result<Response> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = std::str::from_utf8(&head).expect("heads are ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let mut status = lines.next().unwrap_or_default().splitn(3, ' ');
        let (Some(version), Some(Ok(code))) = (status.next(), status.next().map(str::parse)) else {
            panic!("expected a status line, got {head}");
        };
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header has a colon");
            (
                HeaderName::try_from(name).unwrap(),
                HeaderValue::try_from(value).unwrap(),
            )
        });
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        Ok(Response {
            version: version.to_owned(),
            status: code,
            headers: all,
            body: Bytes::new(),
        })
    }

    pub(crate) async fn body(&mut self, headers: &HeaderMap) -> io::Result<Bytes> {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
        if text("transfer-encoding") == Some("chunked") {
            let mut body = BytesMut::new();
            loop {
                let size = self.until(b"\r\n").await?;
                let size = std::str::from_utf8(&size).expect("chunk sizes are ASCII");
                let size = usize::from_str_radix(size.trim(), 16).expect("a chunk has a size");
                let chunk = self.exactly(size + 2).await?;
                body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    return Ok(body.freeze());
                }
            }
        }
        match text("content-length") {
            Some(length) => self.exactly(length.parse().expect("a length")).await,
            None => {
                while self.fill().await? {}
                Ok(self.buf.split().freeze())
            }
        }
    }

    /// Everything up to this separator, inclusive.
    async fn until(&mut self, separator: &[u8]) -> io::Result<Bytes> {
        let _wait = waiting("the rest of a head or of a chunk, from the server");
        loop {
            if let Some(at) = self
                .buf
                .windows(separator.len())
                .position(|w| w == separator)
            {
                return Ok(self.buf.split_to(at + separator.len()).freeze());
            }
            self.more().await?;
        }
    }

    pub(crate) async fn exactly(&mut self, n: usize) -> io::Result<Bytes> {
        let _wait = waiting(format!("{n} bytes from the server"));
        while self.buf.len() < n {
            self.more().await?;
        }
        Ok(self.buf.split_to(n).freeze())
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.fill().await? {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Returns `false` at EOF.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buf.reserve(16 * 1024);
        Ok(self.io.read_buf(&mut self.buf).await? > 0)
    }

    /// Everything until the server closes.
    pub(crate) async fn read_to_close(&mut self) -> Bytes {
        let _wait = waiting("the end of the stream from the server");
        // A reset is an end, too: the server may have left bytes unread.
        while self.fill().await.unwrap_or(false) {}
        self.buf.split().freeze()
    }

    /// Asserts that the server closes without another byte.
    pub(crate) async fn assert_closed(&mut self) {
        let rest = self.read_to_close().await;
        assert!(
            rest.is_empty(),
            "expected a close without another byte, got {rest:?}"
        );
    }
}

/// Ends the sending half.
pub(crate) async fn shut_down_write(io: &mut Io) {
    // Over TLS in TLS, shutdown takes several writes, and the server may have closed after the
    // first.
    let _ = io.shutdown().await;
}

/// A GET without a body.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// The head of a POST with a body of this length.
pub(crate) fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n")
}
