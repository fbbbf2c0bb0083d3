//! What leaves on the wire: how many records an answer takes, and how a connection ends.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::scene::{HELLO, Served, app, made};
use crate::wire::{Record, records};
use anyport_core::{Server, Timeouts, serve_with};
use anyport_memory::{Memory, MemoryStream};
use anyport_tls::{
    TlsExt,
    rustls::{
        ProtocolVersion, SupportedProtocolVersion,
        version::{TLS12, TLS13},
    },
};
use http::Request;
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::client::TlsStream;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What came from the server, as it was on the wire.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    /// The records since it was asked last.
    fn records(&self) -> Vec<Record> {
        records(&std::mem::take(&mut *self.0.lock().unwrap()))
    }
}

/// A client's end of a pipe that's recorded.
struct Recorded {
    pipe: MemoryStream,
    tape: Tape,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buf))?;
        self.tape.0.lock().unwrap().extend(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// A server, a connection to it, and what's recorded of that.
struct Case {
    served: Served,
    stream: TlsStream<Recorded>,
    tape: Tape,
}

impl Case {
    fn new(
        version: &'static SupportedProtocolVersion,
        alpn: &str,
        configure: impl FnOnce(Server) -> Server,
    ) -> Self {
        let authority = Authority::new();
        let memory = Memory::new().with_buffer(1 << 20);
        let connector = memory.connector();
        let served = Served::start(configure(serve_with(memory.tls(authority.server()), app())));
        let tape = Tape::default();
        let recorded = Recorded {
            pipe: connector.connect().unwrap(),
            tape: tape.clone(),
        };
        let mut config = authority.only(version);
        config.alpn_protocols = vec![alpn.into()];
        let stream = served.run(Client::new(config).handshake(recorded)).unwrap();
        Self {
            served,
            stream,
            tape,
        }
    }

    fn http_1(version: &'static SupportedProtocolVersion) -> Self {
        Self::new(version, "http/1.1", |server| server)
    }

    /// The answer to one of several requests, whose last bytes are known.
    fn ask(&mut self, path: &str, end: &[u8]) {
        self.served.run(async {
            let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            self.stream.write_all(request.as_bytes()).await.unwrap();
            self.stream.flush().await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(end) {
                assert_ne!(self.stream.read_buf(&mut answer).await.unwrap(), 0);
            }
        });
    }
}

fn data(records: &[Record]) -> Vec<usize> {
    assert!(
        records.iter().all(|record| record.kind == Record::DATA),
        "{records:?}"
    );
    records.iter().map(|record| record.length).collect()
}

#[test]
fn a_small_answer_is_one_record_in_http_1() {
    for version in VERSIONS {
        let mut case = Case::http_1(version);
        // Tickets come with the first one.
        case.ask("", HELLO.as_bytes());
        case.tape.records();
        for _ in 0..3 {
            case.ask("", HELLO.as_bytes());
            assert_eq!(data(&case.tape.records()).len(), 1, "{version:?}");
            let body = made(2000);
            case.ask("2000", &body);
            assert_eq!(data(&case.tape.records()).len(), 1, "{version:?}");
        }
        drop(case.stream);
        case.served.ends();
    }
}

/// RFC 8446 5.1: a record holds 2^14 bytes at the most; what's added are a tag, the inner type, and
/// in TLS 1.2 a nonce.
const FULL: std::ops::RangeInclusive<usize> = (1 << 14) + 17..=(1 << 14) + 24;

#[test]
fn a_long_answer_fills_its_records_in_http_1() {
    const LENGTH: usize = 100 * 1024;
    for version in VERSIONS {
        let mut case = Case::http_1(version);
        case.ask("", HELLO.as_bytes());
        case.tape.records();
        case.ask(&LENGTH.to_string(), &made(LENGTH)[LENGTH - 1000..]);
        let lengths = data(&case.tape.records());
        println!("{version:?}: {lengths:?}");
        let full = lengths
            .iter()
            .filter(|length| FULL.contains(length))
            .count();
        assert_eq!(
            (full, lengths.len()),
            (LENGTH / (1 << 14), LENGTH / (1 << 14) + 1),
            "{lengths:?}"
        );
        drop(case.stream);
        case.served.ends();
    }
}

#[test]
fn answers_in_http_2() {
    const LENGTH: usize = 60_000;
    for version in VERSIONS {
        let Case {
            served,
            stream,
            tape,
        } = Case::new(version, "h2", |server| server);
        served.run(async {
            let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let mut ask = async |path: &str| {
                let request = Request::get(format!("https://localhost/{path}"))
                    .body(())
                    .unwrap();
                client = client.clone().ready().await.unwrap();
                let (answer, _) = client.send_request(request, true).unwrap();
                let mut body = answer.await.unwrap().into_body();
                let mut length = 0;
                while let Some(piece) = body.data().await {
                    length += piece.unwrap().len();
                }
                length
            };
            // What the two agree on first.
            assert_eq!(ask("").await, HELLO.len());
            tape.records();
            assert_eq!(ask("").await, HELLO.len());
            assert_eq!(
                data(&tape.records()).len(),
                1,
                "{version:?}: HEADERS and DATA"
            );
            assert_eq!(ask(&LENGTH.to_string()).await, LENGTH);
            let lengths = data(&tape.records());
            println!("{version:?}: {lengths:?}");
            // A frame that's as long as a record is longer by its own head, which has to go into
            // another one.
            assert!(
                lengths.len() <= 2 * LENGTH.div_ceil(1 << 14),
                "{version:?}: {lengths:?}"
            );
            drop(client);
            connection.await.unwrap().unwrap();
        });
        served.ends();
    }
}

/// All that still comes; an end without `close_notify` is an error of rustls (RFC 8446 6.1).
fn end(served: &Served, stream: &mut TlsStream<Recorded>, tape: &Tape) -> Vec<u8> {
    let mut rest = Vec::new();
    served.run(stream.read_to_end(&mut rest)).unwrap();
    // And only one of them, at the very end.
    let last = tape.records().pop().unwrap();
    match stream.get_ref().1.protocol_version() {
        // A warning of two bytes, with nonce and tag.
        Some(ProtocolVersion::TLSv1_2) => {
            assert_eq!(
                last,
                Record {
                    kind: Record::ALERT,
                    length: 2 + 8 + 16
                }
            );
        }
        _ => assert_eq!(
            last,
            Record {
                kind: Record::DATA,
                length: 2 + 1 + 16
            }
        ),
    }
    rest
}

#[test]
fn a_connection_that_was_to_be_closed_says_so() {
    for version in VERSIONS {
        let Case {
            served,
            mut stream,
            tape,
        } = Case::http_1(version);
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        served.run(stream.write_all(request)).unwrap();
        assert!(end(&served, &mut stream, &tape).ends_with(HELLO.as_bytes()));
        served.ends();
    }
}

#[test]
fn an_idle_connection_says_so_at_its_deadline() {
    let timeouts = Timeouts::default().with_keep_alive(Duration::from_millis(200));
    for version in VERSIONS {
        let mut case = Case::new(version, "http/1.1", |server| server.timeouts(timeouts));
        case.ask("", HELLO.as_bytes());
        assert_eq!(end(&case.served, &mut case.stream, &case.tape), b"");
        case.served.ends();
    }
}

#[test]
fn a_connection_that_never_asked_is_told_so() {
    for version in VERSIONS {
        let timeouts = Timeouts::default().with_head(Duration::from_millis(200));
        let Case {
            served,
            mut stream,
            tape,
        } = Case::new(version, "http/1.1", |server| server.timeouts(timeouts));
        assert_eq!(end(&served, &mut stream, &tape), b"");
        served.ends();

        let Case {
            served,
            mut stream,
            tape,
        } = Case::http_1(version);
        let drained = served.handle.shutdown(crate::scene::PATIENCE);
        assert_eq!(end(&served, &mut stream, &tape), b"");
        assert_eq!(served.run(drained).unwrap().aborted, 0);
    }
}

#[test]
fn a_drain_says_so() {
    for version in VERSIONS {
        let mut case = Case::http_1(version);
        case.ask("", HELLO.as_bytes());
        let drained = case.served.handle.shutdown(crate::scene::PATIENCE);
        assert_eq!(end(&case.served, &mut case.stream, &case.tape), b"");
        assert_eq!(case.served.run(drained).unwrap().aborted, 0);
    }
}

#[test]
fn a_drain_of_http_2_says_so() {
    for version in VERSIONS {
        let Case {
            served,
            mut stream,
            tape,
        } = Case::new(version, "h2", |server| server);
        // Its preface (RFC 9113 3.4) is all that it says.
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        served.run(stream.write_all(preface)).unwrap();
        served.run(until_frame(&mut stream, SETTINGS));
        let drained = served.handle.shutdown(crate::scene::PATIENCE);
        // The server asks whether there's a request on its way (RFC 9113 6.8).
        let mut ping = served.run(until_frame(&mut stream, PING));
        ping[4] = 1;
        served.run(stream.write_all(&ping)).unwrap();
        let rest = end(&served, &mut stream, &tape);
        assert_eq!(served.run(drained).unwrap().aborted, 0);
        assert_eq!(rest[3], GOAWAY, "{rest:x?}");
    }
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// The next frame of this kind.
async fn until_frame(stream: &mut TlsStream<Recorded>, kind: u8) -> Vec<u8> {
    loop {
        let mut frame = vec![0; 9];
        stream.read_exact(&mut frame).await.unwrap();
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
        frame.resize(9 + length as usize, 0);
        stream.read_exact(&mut frame[9..]).await.unwrap();
        if frame[3] == kind {
            return frame;
        }
    }
}
