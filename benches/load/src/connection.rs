//! Connections and requests, over TCP, TLS and Unix sockets.

use crate::run::with_timeout;
use crate::scanner::{Scanner, WEBSOCKET_KEY, check_upgrade, frame_head, parse};
use crate::{Response, Timeout, tls};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::cell::RefCell;
use std::fmt::Debug;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

/// As much as most responses of the bench.
const READ_BUFFER: usize = 64 * 1024;
/// A longer request does not fit into a socket's buffers: a server may respond before it has all.
const LONG: usize = 64 * 1024;

thread_local! {
    /// One for all connections: what one has read is scanned before the next one reads.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// The byte stream of a connection.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Debug + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Debug + Unpin + Send> Bytes for T {}

/// Where to connect, and which bytes to send there; made once per load.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    address: Address,
    tls: Option<Arc<ClientConfig>>,
    /// The request for an upgrade, before the first message.
    upgrade: Option<Arc<[u8]>>,
    /// A whole request with its body, or a message.
    pub(crate) request: Arc<[u8]>,
    /// The same as the last one of a connection.
    pub(crate) last_request: Arc<[u8]>,
    response_body: Arc<[u8]>,
}

/// A connection, after its handshake and its upgrade.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Box<dyn Bytes>,
    scanner: Scanner,
    responses: u64,
}

impl Connector {
    pub(crate) fn new(address: &Address, workload: Workload) -> anyhow::Result<Self> {
        let tls = match address {
            Address::Tls(_) => Some(tls::config(Resumption::disabled())?),
            _ => None,
        };
        let host = match address {
            Address::Tcp(address) | Address::Tls(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let response_body = workload.response_body();
        let (upgrade, first, last) = if workload.is_websocket() {
            let headers = format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n"
            );
            let upgrade = request(workload, &host, &headers);
            (Some(upgrade.into()), text_frame(&response_body), Vec::new())
        } else {
            let last = request(workload, &host, "Connection: close\r\n");
            (None, request(workload, &host, ""), last)
        };
        Ok(Self {
            address: address.clone(),
            tls,
            upgrade,
            request: first.into(),
            last_request: last.into(),
            response_body: response_body.into(),
        })
    }

    /// Connects, and sends nothing.
    pub(crate) async fn connect(&self) -> anyhow::Result<Box<dyn Bytes>> {
        let connected = connect(&self.address).await;
        connected.with_context(|| format!("cannot connect to {}", self.address))
    }

    /// Makes the TLS handshake, if there is one.
    pub(crate) async fn secure(&self, stream: Box<dyn Bytes>) -> anyhow::Result<Box<dyn Bytes>> {
        Ok(match &self.tls {
            Some(config) => Box::new(tls::handshake(config, stream).await?),
            None => stream,
        })
    }

    /// Makes the TLS handshake and the upgrade, if there are such.
    pub(crate) async fn open(&self, stream: Box<dyn Bytes>) -> anyhow::Result<Connection> {
        let mut stream = self.secure(stream).await?;
        let scanner = match &self.upgrade {
            Some(request) => {
                stream.write_all(request).await?;
                let response = read_response(&mut stream, &AtomicU64::new(0)).await;
                response
                    .and_then(|response| check_upgrade(&response))
                    .context("the server does not upgrade to a WebSocket")?;
                Scanner::messages(&self.response_body)
            }
            None => Scanner::responses(Arc::clone(&self.response_body)),
        };
        Ok(Connection {
            stream,
            scanner,
            responses: 0,
        })
    }

    /// Connects and opens.
    pub(crate) fn open_with(
        &self,
        runtime: &Runtime,
        timeout: &Timeout,
    ) -> anyhow::Result<Connection> {
        let open = async { self.open(self.connect().await?).await };
        let reason = || "the server does not open it".to_owned();
        runtime.block_on(with_timeout(timeout, || 0, reason, open))
    }
}

async fn connect(address: &Address) -> io::Result<Box<dyn Bytes>> {
    match address {
        Address::Tcp(address) | Address::Tls(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Address::Unix(path) => loop {
            match UnixStream::connect(path).await {
                // The backlog is full (unix(7)).
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                connected => return Ok(Box::new(connected?)),
            }
        },
    }
}

/// A response with its whole body. `received` counts bytes.
pub(crate) async fn read_response(
    stream: &mut Box<dyn Bytes>,
    received: &AtomicU64,
) -> anyhow::Result<Response> {
    let mut bytes = Vec::new();
    loop {
        let read = stream.read_buf(&mut bytes).await;
        let read = read.context("no response came")?;
        anyhow::ensure!(
            read > 0,
            "the server closed the connection without a whole response"
        );
        received.fetch_add(read as u64, Relaxed);
        let Some((head, start)) = parse(&bytes)? else {
            continue;
        };
        let length = match head.length {
            Some(length) => length?,
            None if head.status == 200 => anyhow::bail!("a response without a content-length"),
            None => 0,
        };
        if bytes.len() >= start + length {
            let mut headers = head.headers;
            headers.sort();
            return Ok(Response {
                status: head.status,
                headers,
                body: bytes.split_off(start),
            });
        }
    }
}

impl Connection {
    /// Sends one request, and receives its whole response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let done = if request.len() > LONG {
            let (mut reading, mut writing) = tokio::io::split(&mut self.stream);
            let write = async { write(&mut writing, request).await };
            let receive = receive(&mut reading, &mut self.scanner);
            tokio::try_join!(write, receive).map(drop)
        } else {
            match write(&mut self.stream, request).await {
                Ok(()) => receive(&mut self.stream, &mut self.scanner).await,
                Err(error) => Err(error),
            }
        };
        done.with_context(|| format!("after {} responses", self.responses))?;
        self.responses += 1;
        Ok(())
    }

    /// Sends a request only.
    pub(crate) async fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        write(&mut self.stream, request).await
    }

    /// Reads at most `most` of the bytes that are there. Whether the response is whole now.
    pub(crate) async fn read_once(&mut self, most: usize) -> anyhow::Result<bool> {
        poll_fn(|cx| {
            let whole = poll_receive(&mut self.stream, &mut self.scanner, most, cx);
            Poll::Ready(match whole {
                Poll::Ready(whole) => whole,
                Poll::Pending => Ok(false),
            })
        })
        .await
    }

    /// Waits for the server to close. Fails on any byte before that.
    pub(crate) async fn expect_end(&mut self) -> anyhow::Result<()> {
        match self.stream.read(&mut [0]).await {
            Ok(0) => Ok(()),
            // A server that closes TLS without close_notify.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Ok(_) => anyhow::bail!("more bytes than the response announced"),
            Err(error) => Err(ended(&error)),
        }
    }
}

pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    request: &[u8],
) -> anyhow::Result<()> {
    let written = async {
        stream.write_all(request).await?;
        stream.flush().await
    };
    written.await.map_err(|error| ended(&error))
}

async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    scanner: &mut Scanner,
) -> anyhow::Result<()> {
    while !poll_fn(|cx| poll_receive(stream, scanner, READ_BUFFER, cx)).await? {}
    Ok(())
}

/// Reads once. Whether the response is whole now.
fn poll_receive(
    stream: &mut (impl AsyncRead + Unpin),
    scanner: &mut Scanner,
    most: usize,
    cx: &mut Context<'_>,
) -> Poll<anyhow::Result<bool>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut buffer = ReadBuf::new(&mut buffer[..most]);
        let read = ready!(Pin::new(stream).poll_read(cx, &mut buffer));
        Poll::Ready(match read {
            Ok(()) if buffer.filled().is_empty() => Err(ended(&ErrorKind::UnexpectedEof.into())),
            Ok(()) => scanner.feed(buffer.filled()),
            Err(error) => Err(ended(&error)),
        })
    })
}

/// How the connection ended.
fn ended(error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => anyhow::anyhow!("the server closed it"),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            anyhow::anyhow!("the server reset it")
        }
        _ => anyhow::anyhow!("{error}"),
    }
}

/// As short as HTTP/1.1 allows, with these headers.
fn request(workload: Workload, host: &str, headers: &str) -> Vec<u8> {
    let body = workload.request_body();
    let path = workload.path();
    let (method, length) = match body.len() {
        0 => ("GET", String::new()),
        length => ("POST", format!("Content-Length: {length}\r\n")),
    };
    let own = workload.request_headers();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{own}{length}\r\n");
    [head.as_bytes(), &body].concat()
}

/// A whole message of a client, which has to be masked (RFC 6455 5.2). On loopback, any mask will
/// do.
fn text_frame(text: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = frame_head(text.len());
    frame[1] |= MASKED;
    frame.extend(MASK);
    let mask = MASK.iter().cycle();
    frame.extend(text.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    frame
}
