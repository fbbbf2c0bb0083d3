//! The byte stream: no byte is lost, each end detects the other's end, and the facts are right.
use super::cases;
use crate::{
    app::script::pattern,
    connectors::{ConnectorSubject, Peers, fixture::Fixture},
};
use anyport_core::{Connection, transport::Endpoint};
use hyper::rt::Write;
use std::{future::poll_fn, pin::Pin, task::Poll};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

cases![
    bytes_are_exchanged_both_ways,
    facts_name_both_ends,
    writes_wait_for_a_slow_reader,
    large_transfer_arrives_unchanged,
    half_closed_client_still_receives,
    half_closed_peer_still_receives,
    poll_readable_is_ready_when_bytes_have_come,
    peer_that_closes_at_once_ends_the_stream,
];

const LARGE: usize = 8 * 1024 * 1024 + 11;

async fn bytes_are_exchanged_both_ways<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        let mut stream = client.stream().await;
        for i in 0..100_u32 {
            stream.write_all(&i.to_be_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            assert_eq!(stream.read_u32().await.unwrap(), i + 1);
        }
    });
    let peer = async {
        let (mut stream, _) = peers.accept().await.unwrap();
        for _ in 0..100 {
            let i = stream.read_u32().await.unwrap();
            stream.write_all(&(i + 1).to_be_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream
    };
    tokio::join!(client, peer);
}

async fn facts_name_both_ends<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let target = peers.target();
    let client = fixture.client(target.clone(), |client| async move {
        let connection = client.connect().await.unwrap();
        let info = connection.info();
        let facts = (info.peer().clone(), info.local().clone());
        (facts, info.tls().is_some(), info.peer_cred().is_some())
    });
    let (((peer, local), is_tls, has_cred), accepted) = tokio::join!(client, peers.accept());
    assert_eq!(&peer, target.endpoint());
    let (_stream, client) = accepted.unwrap();
    assert_eq!(local, client, "the client's endpoint, as the peer sees it");
    assert_eq!(is_tls, fixture.subject().has_handshake());
    assert_eq!(has_cred, matches!(peer, Endpoint::Unix(_)));
}

async fn writes_wait_for_a_slow_reader<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let (is_full, may_read) = oneshot::channel();
    let client = fixture.client(peers.target(), |client| async move {
        let mut stream = client.stream().await;
        let sent = pattern(LARGE);
        let mut written = 0;
        // Until nothing more is taken at once, twice in a row: a write may still be in flight.
        let mut refused = 0;
        while refused < 2 {
            let taken = poll_fn(|cx| {
                Poll::Ready(Pin::new(stream.inner_mut()).poll_write(cx, &sent[written..]))
            });
            match taken.await {
                Poll::Ready(taken) => {
                    written += taken.unwrap();
                    refused = 0;
                }
                Poll::Pending => {
                    refused += 1;
                    client.pause().await;
                }
            }
            assert!(written < LARGE, "nothing makes this writer wait");
        }
        is_full.send(()).unwrap();
        stream.write_all(&sent[written..]).await.unwrap();
        stream.shutdown().await.unwrap();
        // The peer's end: until then, its last bytes may be in flight.
        let _ = stream.read(&mut [0]).await;
    });
    let peer = async {
        let (mut stream, _) = peers.accept().await.unwrap();
        may_read.await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert!(received == pattern(LARGE), "got {} bytes", received.len());
        let _ = stream.shutdown().await;
    };
    tokio::join!(client, peer);
}

async fn large_transfer_arrives_unchanged<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        let mut stream = client.stream().await;
        let mut received = Vec::new();
        let mut size = 1;
        loop {
            let mut part = vec![0; size];
            match stream.read(&mut part).await.unwrap() {
                0 => break,
                n => received.extend_from_slice(&part[..n]),
            }
            size = size * 3 % 70_001 + 1;
        }
        received == pattern(LARGE)
    });
    let peer = async {
        let (mut stream, _) = peers.accept().await.unwrap();
        stream.write_all(&pattern(LARGE)).await.unwrap();
        stream.shutdown().await.unwrap();
        // Closing earlier could reset the connection.
        let _ = stream.read(&mut [0]).await;
    };
    let (is_unchanged, ()) = tokio::join!(client, peer);
    assert!(is_unchanged, "expected exactly the bytes that were sent");
}

async fn half_closed_client_still_receives<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        let mut stream = client.stream().await;
        stream.write_all(&pattern(100_000)).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let peer = async {
        let (mut stream, _) = peers.accept().await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        let answer = format!("got {}", received.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(client, peer);
    assert_eq!(answer, "got 100000");
}

async fn half_closed_peer_still_receives<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        let mut stream = client.stream().await;
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "the end stays");
        stream.write_all(&pattern(100_000)).await.unwrap();
        stream.shutdown().await.unwrap();
        client.pause().await;
    });
    let peer = async {
        let (mut stream, _) = peers.accept().await.unwrap();
        stream.shutdown().await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert!(received == pattern(100_000), "got {} bytes", received.len());
    };
    tokio::join!(client, peer);
}

async fn poll_readable_is_ready_when_bytes_have_come<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let reports_readiness = fixture.subject().reports_readiness();
    let (is_waiting, may_write) = oneshot::channel();
    let client = fixture.client(peers.target(), move |client| async move {
        let mut stream = client.stream().await;
        let before = poll_fn(|cx| Poll::Ready(Pin::new(stream.inner_mut()).poll_readable(cx)));
        let before = before.await;
        assert!(
            before.is_pending() || !reports_readiness,
            "no byte was sent"
        );
        is_waiting.send(()).unwrap();
        poll_fn(|cx| Pin::new(stream.inner_mut()).poll_readable(cx))
            .await
            .unwrap();
        let mut three = [0; 3];
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"abc", "it consumes no byte");
        poll_fn(|cx| Pin::new(stream.inner_mut()).poll_readable(cx))
            .await
            .unwrap();
        assert_eq!(stream.read(&mut three).await.unwrap(), 0);
    });
    let peer = async {
        let (mut stream, _) = peers.accept().await.unwrap();
        may_write.await.unwrap();
        stream.write_all(b"abc").await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    };
    tokio::join!(client, peer);
}

async fn peer_that_closes_at_once_ends_the_stream<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        let mut stream = client.stream().await;
        stream.read(&mut [0; 8]).await.map_err(|error| error.kind())
    });
    let peer = async { drop(peers.accept().await.unwrap()) };
    let (read, ()) = tokio::join!(client, peer);
    let is_end = match read {
        Ok(n) => n == 0,
        // TLS without a `close_notify`, or a reset because of unread bytes.
        Err(kind) => matches!(
            kind,
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
        ),
    };
    assert!(is_end, "{read:?}");
}
