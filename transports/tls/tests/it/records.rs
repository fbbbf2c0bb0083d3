//! The records on the wire: how many a response takes, and how a connection ends.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::fixture::{HELLO, TestServer, app, body_of};
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

/// The bytes that the server has sent.
#[derive(Clone, Default)]
struct Recording(Arc<Mutex<Vec<u8>>>);

impl Recording {
    /// The records since the last call.
    fn records(&self) -> Vec<Record> {
        records(&std::mem::take(&mut *self.0.lock().unwrap()))
    }
}

/// The client's end of a pipe, recorded.
struct Recorded {
    pipe: MemoryStream,
    recording: Recording,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buf))?;
        self.recording
            .0
            .lock()
            .unwrap()
            .extend(&buf.filled()[before..]);
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

/// A server, a connection to it, and the recorded bytes.
struct Case {
    server: TestServer,
    stream: TlsStream<Recorded>,
    recording: Recording,
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
        let server =
            TestServer::start(configure(serve_with(memory.tls(authority.server()), app())));
        let recording = Recording::default();
        let recorded = Recorded {
            pipe: connector.connect().unwrap(),
            recording: recording.clone(),
        };
        let mut config = authority.only(version);
        config.alpn_protocols = vec![alpn.into()];
        let stream = server.run(Client::new(config).handshake(recorded)).unwrap();
        Self {
            server,
            stream,
            recording,
        }
    }

    fn http_1(version: &'static SupportedProtocolVersion) -> Self {
        Self::new(version, "http/1.1", |server| server)
    }

    /// Sends one of several requests, and reads until the response ends with `end`.
    fn get_response(&mut self, path: &str, end: &[u8]) {
        self.server.run(async {
            let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            self.stream.write_all(request.as_bytes()).await.unwrap();
            self.stream.flush().await.unwrap();
            let mut response = Vec::new();
            while !response.ends_with(end) {
                assert_ne!(self.stream.read_buf(&mut response).await.unwrap(), 0);
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
fn small_http1_response_is_one_record() {
    for version in VERSIONS {
        let mut case = Case::http_1(version);
        // The first response comes with session tickets.
        case.get_response("", HELLO.as_bytes());
        case.recording.records();
        for _ in 0..3 {
            case.get_response("", HELLO.as_bytes());
            assert_eq!(data(&case.recording.records()).len(), 1, "{version:?}");
            let body = body_of(2000);
            case.get_response("2000", &body);
            assert_eq!(data(&case.recording.records()).len(), 1, "{version:?}");
        }
        drop(case.stream);
        case.server.shut_down();
    }
}

/// A record holds at most 2^14 bytes (RFC 8446 5.1), plus a tag, the inner type, and in TLS 1.2 a
/// nonce.
const FULL_RECORD: std::ops::RangeInclusive<usize> = (1 << 14) + 17..=(1 << 14) + 24;

#[test]
fn long_http1_response_fills_its_records() {
    const LENGTH: usize = 100 * 1024;
    for version in VERSIONS {
        let mut case = Case::http_1(version);
        case.get_response("", HELLO.as_bytes());
        case.recording.records();
        case.get_response(&LENGTH.to_string(), &body_of(LENGTH)[LENGTH - 1000..]);
        let lengths = data(&case.recording.records());
        println!("{version:?}: {lengths:?}");
        let full = lengths
            .iter()
            .filter(|length| FULL_RECORD.contains(length))
            .count();
        assert_eq!(
            (full, lengths.len()),
            (LENGTH / (1 << 14), LENGTH / (1 << 14) + 1),
            "{lengths:?}"
        );
        drop(case.stream);
        case.server.shut_down();
    }
}

#[test]
fn http2_responses_take_few_records() {
    const LENGTH: usize = 60_000;
    for version in VERSIONS {
        let Case {
            server,
            stream,
            recording,
        } = Case::new(version, "h2", |server| server);
        server.run(async {
            let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let mut get_response = async |path: &str| {
                let request = Request::get(format!("https://localhost/{path}"))
                    .body(())
                    .unwrap();
                client = client.clone().ready().await.unwrap();
                let (response, _) = client.send_request(request, true).unwrap();
                let mut body = response.await.unwrap().into_body();
                let mut length = 0;
                while let Some(piece) = body.data().await {
                    length += piece.unwrap().len();
                }
                length
            };
            // The first exchange includes both sides' SETTINGS.
            assert_eq!(get_response("").await, HELLO.len());
            recording.records();
            assert_eq!(get_response("").await, HELLO.len());
            assert_eq!(
                data(&recording.records()).len(),
                1,
                "{version:?}: HEADERS and DATA"
            );
            assert_eq!(get_response(&LENGTH.to_string()).await, LENGTH);
            let lengths = data(&recording.records());
            println!("{version:?}: {lengths:?}");
            // A DATA frame as long as a record exceeds it by its own header, which takes another
            // record.
            assert!(
                lengths.len() <= 2 * LENGTH.div_ceil(1 << 14),
                "{version:?}: {lengths:?}"
            );
            drop(client);
            connection.await.unwrap().unwrap();
        });
        server.shut_down();
    }
}

/// Reads all bytes until `close_notify`. rustls returns an error for an end without it (RFC 8446
/// 6.1).
fn read_until_close(
    server: &TestServer,
    stream: &mut TlsStream<Recorded>,
    recording: &Recording,
) -> Vec<u8> {
    let mut remaining = Vec::new();
    server.run(stream.read_to_end(&mut remaining)).unwrap();
    // One alert, at the very end.
    let last = recording.records().pop().unwrap();
    match stream.get_ref().1.protocol_version() {
        // An alert of two bytes, with nonce and tag.
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
    remaining
}

#[test]
fn connection_close_ends_with_close_notify() {
    for version in VERSIONS {
        let Case {
            server,
            mut stream,
            recording,
        } = Case::http_1(version);
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        server.run(stream.write_all(request)).unwrap();
        assert!(read_until_close(&server, &mut stream, &recording).ends_with(HELLO.as_bytes()));
        server.shut_down();
    }
}

#[test]
fn keep_alive_timeout_ends_with_close_notify() {
    let timeouts = Timeouts::default().with_keep_alive(Duration::from_millis(200));
    for version in VERSIONS {
        let mut case = Case::new(version, "http/1.1", |server| server.timeouts(timeouts));
        case.get_response("", HELLO.as_bytes());
        assert_eq!(
            read_until_close(&case.server, &mut case.stream, &case.recording),
            b""
        );
        case.server.shut_down();
    }
}

#[test]
fn connection_without_request_ends_with_close_notify() {
    for version in VERSIONS {
        let timeouts = Timeouts::default().with_head(Duration::from_millis(200));
        let Case {
            server,
            mut stream,
            recording,
        } = Case::new(version, "http/1.1", |server| server.timeouts(timeouts));
        assert_eq!(read_until_close(&server, &mut stream, &recording), b"");
        server.shut_down();

        let Case {
            server,
            mut stream,
            recording,
        } = Case::http_1(version);
        let drained = server.handle.shutdown(crate::fixture::TIMEOUT);
        assert_eq!(read_until_close(&server, &mut stream, &recording), b"");
        assert_eq!(server.run(drained).unwrap().aborted, 0);
    }
}

#[test]
fn drain_ends_with_close_notify() {
    for version in VERSIONS {
        let mut case = Case::http_1(version);
        case.get_response("", HELLO.as_bytes());
        let drained = case.server.handle.shutdown(crate::fixture::TIMEOUT);
        assert_eq!(
            read_until_close(&case.server, &mut case.stream, &case.recording),
            b""
        );
        assert_eq!(case.server.run(drained).unwrap().aborted, 0);
    }
}

#[test]
fn http2_drain_ends_with_goaway_and_close_notify() {
    for version in VERSIONS {
        let Case {
            server,
            mut stream,
            recording,
        } = Case::new(version, "h2", |server| server);
        // The client sends its preface only (RFC 9113 3.4).
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        server.run(stream.write_all(preface)).unwrap();
        server.run(read_frame_of_type(&mut stream, SETTINGS));
        let drained = server.handle.shutdown(crate::fixture::TIMEOUT);
        // The server checks for requests in flight (RFC 9113 6.8).
        let mut ping = server.run(read_frame_of_type(&mut stream, PING));
        ping[4] = 1;
        server.run(stream.write_all(&ping)).unwrap();
        let remaining = read_until_close(&server, &mut stream, &recording);
        assert_eq!(server.run(drained).unwrap().aborted, 0);
        assert_eq!(remaining[3], GOAWAY, "{remaining:x?}");
    }
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// The next frame of this type.
async fn read_frame_of_type(stream: &mut TlsStream<Recorded>, kind: u8) -> Vec<u8> {
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
