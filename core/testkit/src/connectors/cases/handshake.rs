//! The second phase, which needs the peer: a peer that is silent, or that disconnects.
use super::cases;
use crate::connectors::{ConnectorSubject, Peers, fixture::Fixture};
use anyport_core::transport::Connector;
use std::{
    future::{Future, poll_fn},
    io::ErrorKind,
    pin::pin,
    task::Poll,
};
use tokio::{io::AsyncReadExt, sync::oneshot};

cases![
    first_phase_needs_no_answer if has_handshake,
    dropped_handshake_closes_the_connection if has_handshake,
    peer_that_closes_in_the_handshake_is_named if has_handshake,
];

fn has_handshake<S: ConnectorSubject>(subject: &S) -> Result<(), &'static str> {
    match subject.has_handshake() {
        true => Ok(()),
        false => Err("needs a handshake"),
    }
}

async fn first_phase_needs_no_answer<S: ConnectorSubject>(fixture: Fixture<S>) {
    let peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        let handshake = client.connector.connect(&client.target).await.unwrap();
        drop(handshake);
    });
    client.await;
}

async fn dropped_handshake_closes_the_connection<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let (has_begun, deadline) = oneshot::channel::<()>();
    let client = fixture.client(peers.target(), |client| async move {
        let handshake = client.connector.connect(&client.target).await.unwrap();
        let (mut handshake, mut deadline) = (pin!(handshake), pin!(deadline));
        let is_late = poll_fn(|cx| {
            if handshake.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            deadline.as_mut().poll(cx).map(|_| true)
        });
        assert!(is_late.await, "the peer answers nothing");
    });
    let peer = async {
        let mut stream = peers.accept_silently().await.unwrap();
        stream.read_u8().await.unwrap();
        has_begun.send(()).unwrap();
        // The end, or a reset.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    tokio::join!(client, peer);
}

async fn peer_that_closes_in_the_handshake_is_named<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let target = peers.target();
    let client = fixture.client(target.clone(), |client| async move {
        let connected = client.connect().await;
        connected.map(drop).map_err(|e| (e.kind(), e.to_string()))
    });
    let peer = async {
        let mut stream = peers.accept_silently().await.unwrap();
        // Read first: with unread bytes, the close would be a reset.
        let _ = stream.read(&mut [0; 4096]).await;
    };
    let (connected, ()) = tokio::join!(client, peer);
    let (kind, text) = connected.expect_err("the peer has disconnected");
    assert!(
        matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
        "{kind}: {text}"
    );
    let expected = format!("cannot connect to {target}: the server closed the connection");
    assert!(text.starts_with(&expected), "{text}");
}
