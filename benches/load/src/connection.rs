//! How a server is connected to and asked, over whatever carries the bytes.

use crate::scanner::{Head, Scanner, WEBSOCKET_KEY, check_upgrade};
use crate::tls;
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Holds what most responses of the bench bring in one read.
const READ_BUFFER: usize = 64 * 1024;
/// A longer request doesn't fit into a socket's buffers: a server may answer before it has all.
const LONG: usize = 64 * 1024;

thread_local! {
    /// One for all connections: what's read is looked at before the next one reads.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// What a connection is to a load.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// Where to connect, and what's said there; made once per load.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: Address,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// What asks for another protocol, before the first request.
    upgrade: Option<Arc<[u8]>>,
    /// A whole one, body included.
    pub(crate) request: Arc<[u8]>,
    /// The same for the last one of a connection.
    pub(crate) last_request: Arc<[u8]>,
    answer: Arc<[u8]>,
}

/// A connection, after its handshake and its upgrade.
pub(crate) struct Connection {
    stream: Box<dyn Bytes>,
    scanner: Scanner,
    /// The head that agreed to the upgrade.
    pub(crate) upgraded: Option<Head>,
    /// How many answers there were.
    pub(crate) answered: u64,
}

impl Client {
    pub(crate) fn new(address: &Address, workload: Workload) -> anyhow::Result<Self> {
        let tls = match address {
            Address::Tls(_) => Some(tls::config(Resumption::disabled())?),
            _ => None,
        };
        let host = match address {
            Address::Tcp(address) | Address::Tls(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let answer = workload.response_body();
        let (upgrade, first, last) = if workload.is_websocket() {
            let headers = format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n"
            );
            let upgrade = request(workload, &host, &headers);
            (Some(upgrade.into()), text_frame(&answer), Vec::new())
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
            answer: answer.into(),
        })
    }

    /// Connects, and says nothing.
    pub(crate) async fn connect(&self) -> anyhow::Result<Box<dyn Bytes>> {
        let connected = connect(&self.address).await;
        connected.with_context(|| format!("cannot connect to {}", self.address))
    }

    /// Makes the handshake and the upgrade, where there are such.
    pub(crate) async fn open(&self, stream: Box<dyn Bytes>) -> anyhow::Result<Connection> {
        let mut stream = match &self.tls {
            Some(config) => Box::new(tls::shake_hands(config, stream).await?),
            None => stream,
        };
        let mut upgraded = None;
        if let Some(request) = &self.upgrade {
            stream.write_all(request).await?;
            let head = upgrade(&mut stream).await;
            upgraded = Some(head.context("the server doesn't upgrade to a WebSocket")?);
        }
        let scanner = match upgraded {
            Some(_) => Scanner::messages(&self.answer),
            None => Scanner::responses(Arc::clone(&self.answer)),
        };
        Ok(Connection {
            stream,
            scanner,
            upgraded,
            answered: 0,
        })
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
                // Its backlog is full (unix(7)).
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                connected => return Ok(Box::new(connected?)),
            }
        },
    }
}

/// The head that agrees.
async fn upgrade(stream: &mut Box<dyn Bytes>) -> anyhow::Result<Head> {
    let mut bytes = Vec::new();
    loop {
        let read = stream.read_buf(&mut bytes).await?;
        anyhow::ensure!(read > 0, "the server closed the connection instead");
        if let Some((head, length)) = check_upgrade(&bytes)? {
            anyhow::ensure!(
                length == bytes.len(),
                "the server sent a message that nobody asked for"
            );
            return Ok(head);
        }
    }
}

impl Connection {
    /// One request and its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let asked = if request.len() > LONG {
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
        asked.with_context(|| format!("after {} responses", self.answered))?;
        self.answered += 1;
        Ok(())
    }

    /// Only sends it.
    pub(crate) async fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        write(&mut self.stream, request).await
    }

    /// Reads once what's there, no more than `most` bytes; says whether the answer is whole.
    pub(crate) async fn sip(&mut self, most: usize) -> anyhow::Result<bool> {
        poll_fn(|cx| {
            let whole = poll_receive(&mut self.stream, &mut self.scanner, most, cx);
            Poll::Ready(match whole {
                Poll::Ready(whole) => whole,
                Poll::Pending => Ok(false),
            })
        })
        .await
    }

    /// The end, which is the server's, and nothing before it.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        let mut surplus = [0; 1];
        match self.stream.read(&mut surplus).await {
            Ok(0) => Ok(()),
            // A server that ends TLS without saying so.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Ok(_) => anyhow::bail!("more bytes than the response announced"),
            Err(error) => Err(lost(&error)),
        }
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), request: &[u8]) -> anyhow::Result<()> {
    let written = async {
        stream.write_all(request).await?;
        stream.flush().await
    };
    written.await.map_err(|error| lost(&error))
}

async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    scanner: &mut Scanner,
) -> anyhow::Result<()> {
    while !poll_fn(|cx| poll_receive(stream, scanner, READ_BUFFER, cx)).await? {}
    Ok(())
}

/// One read; whether the answer is whole by it.
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
            Ok(()) if buffer.filled().is_empty() => Err(lost(&ErrorKind::UnexpectedEof.into())),
            Ok(()) => scanner.feed(buffer.filled()),
            Err(error) => Err(lost(&error)),
        })
    })
}

/// What became of the connection.
fn lost(error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => anyhow::anyhow!("the server closed it"),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            anyhow::anyhow!("the server reset it")
        }
        _ => anyhow::anyhow!("{error}"),
    }
}

/// As short as HTTP/1.1 allows, with `headers` besides.
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

/// A whole message of a client (RFC 6455 5.2), which has to be masked; any mask will do where
/// nobody listens in.
fn text_frame(text: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = crate::scanner::frame_head(text.len());
    frame[1] |= MASKED;
    frame.extend(MASK);
    let mask = MASK.iter().cycle();
    frame.extend(text.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::{Address, Client, Workload, text_frame};

    #[test]
    fn a_request_is_as_short_as_it_can_be() {
        let address = Address::Tcp(([127, 0, 0, 1], 80).into());
        let client = Client::new(&address, Workload::Plaintext).unwrap();
        let head = "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n";
        assert_eq!(client.request[..], *format!("{head}\r\n").as_bytes());
        let last = format!("{head}Connection: close\r\n\r\n");
        assert_eq!(client.last_request[..], *last.as_bytes());
        let echo = Client::new(&address, Workload::Echo).unwrap();
        let head = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Length: 4096\r\n\r\n";
        assert_eq!(
            echo.request.strip_prefix(head),
            Some(&Workload::Echo.request_body()[..])
        );
    }

    #[test]
    fn a_frame_is_that_of_the_rfc() {
        // RFC 6455 5.7, "a single-frame masked text message".
        let hello = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(text_frame(b"Hello"), hello);
    }
}
