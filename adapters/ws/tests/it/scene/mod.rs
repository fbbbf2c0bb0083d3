//! A server in memory, and a client that sends any bytes.
use anyport_core::{Body, Handle, observe::DrainReport, serve_with};
use anyport_memory::{Memory, MemoryConnector};
use anyport_ws::{self as ws, Config, Error, Message, WebSocket};
use http::Request;
use std::{convert::Infallible, future::Future, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
};
use tower::service_fn;

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
pub(crate) const RSV1: u8 = 0x40;

/// The example of RFC 6455 1.3.
pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

pub(crate) struct Server {
    pub(crate) handle: Handle,
    pub(crate) connector: MemoryConnector,
    /// How each WebSocket ended.
    pub(crate) ends: mpsc::UnboundedReceiver<Option<Error>>,
}

impl Server {
    pub(crate) async fn end(&mut self) -> Option<Error> {
        self.ends.recv().await.unwrap()
    }

    /// Drains the server in the background.
    pub(crate) fn drain(&self, grace: Duration) -> JoinHandle<DrainReport> {
        let shutdown = self.handle.shutdown(grace);
        tokio::spawn(async { shutdown.await.unwrap() })
    }

    pub(crate) async fn open(&self) -> Peer {
        self.open_with(REQUEST).await.1
    }

    /// Also returns the head of the response.
    pub(crate) async fn open_with(&self, request: impl AsRef<[u8]>) -> (String, Peer) {
        let mut peer = Peer(Box::new(self.connector.connect().unwrap()));
        peer.send(request).await;
        (peer.head().await, peer)
    }
}

/// Echoes until the WebSocket ends.
pub(crate) async fn echo(mut socket: WebSocket) -> Option<Error> {
    loop {
        match socket.recv().await {
            Some(Ok(message)) if message.is_data() => {
                if let Err(error) = socket.send(message).await {
                    // `recv` may return a more specific error.
                    return socket.recv().await.map_or(Some(error), Result::err);
                }
            }
            Some(Ok(Message::Close(_))) | None => return None,
            Some(Ok(other)) => panic!("{other:?} is none of the app's business"),
            Some(Err(error)) => return Some(error),
        }
    }
}

pub(crate) fn serve<F>(config: Config, handler: fn(WebSocket) -> F) -> Server
where
    F: Future<Output = Option<Error>> + Send + 'static,
{
    let memory = Memory::new();
    let connector = memory.connector();
    let (tell, ends) = mpsc::unbounded_channel();
    let app = service_fn(move |mut request: Request<Body>| {
        let (config, tell) = (config.clone(), tell.clone());
        async move {
            Ok::<_, Infallible>(ws::upgrade(
                &mut request,
                &config,
                move |socket| async move {
                    let _ = tell.send(handler(socket).await);
                },
            ))
        }
    });
    Server {
        handle: serve_with(memory, app).start().unwrap(),
        connector,
        ends,
    }
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A client.
pub(crate) struct Peer(pub(crate) Box<dyn Stream>);

impl Peer {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap().into());
        }
        head
    }

    /// The next frame: its first byte, and its payload.
    pub(crate) async fn frame(&mut self) -> (u8, Vec<u8>) {
        let first = self.0.read_u8().await.unwrap();
        let len = match self.0.read_u8().await.unwrap() {
            126 => u64::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap(),
            len => len.into(),
        };
        let mut payload = vec![0; len as usize];
        self.0.read_exact(&mut payload).await.unwrap();
        (first, payload)
    }

    pub(crate) async fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let (got, bytes) = self.frame().await;
        let expected = payload.as_ref();
        assert!(
            got == first && bytes == expected,
            "{got:x} {}, instead of {first:x} {}",
            bytes.escape_ascii(),
            expected.escape_ascii()
        );
    }

    /// Expects a close with this code, and returns the reason.
    pub(crate) async fn expect_close(&mut self, code: u16) -> String {
        let (first, payload) = self.frame().await;
        let (got, reason) = payload.split_at(2);
        assert_eq!(
            (first, u16::from_be_bytes(got.try_into().unwrap())),
            (CLOSE, code)
        );
        String::from_utf8(reason.to_vec()).unwrap()
    }

    /// Expects a clean end of the connection, without further bytes.
    pub(crate) async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
}

/// A client's frame, masked.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let (payload, mask) = (payload.as_ref(), [0xa1, 0x02, 0xf3, 0x44]);
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .enumerate()
            .map(|(n, byte)| byte ^ mask[n % 4]),
    );
    frame
}

pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
}
