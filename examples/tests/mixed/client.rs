//! A client that works over any stream, with a timeout for each byte.
use crate::TIMEOUT;
use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// The client's end of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) struct Client(Box<dyn Stream>);

impl Client {
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// The status and the body of a response. The connection stays open.
    pub(crate) async fn ask(&mut self, path: &str) -> (u16, String) {
        self.send(path, "").await;
        self.answer().await.unwrap()
    }

    /// Sends a request with additional header lines.
    pub(crate) async fn send(&mut self, path: &str, lines: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    pub(crate) async fn answer(&mut self) -> io::Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(self.byte().await?.into());
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let mut body = String::new();
        for _ in 0..length {
            body.push(self.byte().await?.into());
        }
        Ok((status, body))
    }

    /// Upgrades the connection to an echo.
    pub(crate) async fn upgrade(&mut self) {
        self.send("/echo", "Connection: upgrade\r\nUpgrade: echo\r\n")
            .await;
        assert_eq!(self.answer().await.unwrap().0, 101);
    }

    pub(crate) async fn assert_echo(&mut self) {
        self.0.write_all(b"x").await.unwrap();
        assert_eq!(self.byte().await.unwrap(), b'x');
    }

    /// Asserts that the server closes or resets the connection without another byte.
    pub(crate) async fn assert_closed(&mut self) {
        assert!(self.byte().await.is_err(), "there was a byte more");
    }

    async fn byte(&mut self) -> io::Result<u8> {
        timeout(TIMEOUT, self.0.read_u8()).await.unwrap()
    }
}
