//! Connections and streams that are upgraded: they are still counted, in both versions of HTTP.
use crate::{
    app::{HELLO, script::pattern},
    client::{
        Client, get,
        h2::{receive, request, send_all},
    },
    harness::{
        any_subject::AnySubject,
        case::cases,
        upgraded::{UPGRADE, assert_echo, upgraded},
    },
};
use anyport_core::HttpOptions;
use bytes::Bytes;
use http::{Method, StatusCode};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

cases![
    upgraded_connection_echoes also cross_thread,
    connect_request_becomes_a_tunnel also cross_thread,
    bytes_sent_with_upgrade_request_are_kept also cross_thread,
    ignored_upgrade_offer_leaves_connection_on_http also cross_thread,
    refused_upgrade_fails_the_upgrade_future,
    upgraded_connection_has_conn_info_and_drain also cross_thread,
    upgraded_connection_polls_a_deadline_and_the_drain also cross_thread,
    upgraded_connection_is_counted_until_it_ends also cross_thread,
    extended_connect_echoes also cross_thread,
    h2_tunnel_has_conn_info_and_drain also cross_thread,
    h2_tunnel_polls_a_deadline_and_the_drain also cross_thread,
    h2_tunnel_is_counted_until_it_ends also cross_thread,
    h2_tunnel_and_requests_share_a_connection also cross_thread,
];

/// A grace that is never used up.
const AMPLE: Duration = Duration::from_secs(40);

async fn upgraded_connection_echoes(subject: AnySubject) {
    let server = subject.serve();
    let mut client = upgraded(&server).await;
    for _ in 0..50 {
        assert_echo(&mut client, "over something else").await;
    }
    let sent = pattern(500_000);
    let (mut read, mut write) = tokio::io::split(client.io);
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.flush().await.unwrap();
    };
    let mut got = vec![0; sent.len()];
    let ((), n) = tokio::join!(writing, read.read_exact(&mut got));
    n.unwrap();
    assert!(
        got == sent,
        "expected exactly the bytes that were sent, in order"
    );
}

/// RFC 9110 9.3.6
async fn connect_request_becomes_a_tunnel(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client
        .send("CONNECT there:80 HTTP/1.1\r\nHost: there:80\r\n\r\n")
        .await;
    assert_eq!(client.head().await.unwrap().status, 200);
    assert_echo(&mut client, "through a tunnel").await;
    server.wait_for_connections(1).await;
}

/// For example, Java's client offers h2c with its first request.
async fn ignored_upgrade_offer_leaves_connection_on_http(subject: AnySubject) {
    for idle in [Duration::ZERO, Duration::from_millis(200), Duration::MAX] {
        let server = subject.serve_configured(|server| {
            server.http(HttpOptions::default().with_hibernate_after(idle))
        });
        let mut client = server.client().await;
        let offer = get("/").replace(
            "\r\n\r\n",
            "\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        );
        for ask in [&*offer, &get("/"), &offer, &get("/")] {
            client.send(ask).await;
            let response = client.response().await;
            assert!(response.body == HELLO && !response.closes(), "{response:?}");
            // The connection is probed for idleness within this time.
            sleep(Duration::from_millis(20)).await;
        }
        // The connection may end in the same poll in which the offer arrived.
        let mut other = server.client().await;
        let last = get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        other.send(format!("{offer}{last}")).await;
        for _ in 0..2 {
            assert_eq!(other.response().await.body, HELLO);
        }
        assert_eof(&mut other).await;
        // A partial head that arrived with the request before it is kept.
        client.send(format!("{offer}GET /host HT")).await;
        assert_eq!(client.response().await.body, HELLO);
        sleep(Duration::from_millis(20)).await;
        client
            .send("TP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(client.response().await.body, "test");
        assert_eof(&mut client).await;
    }
}

/// The app's future of the upgrade fails, and the connection continues with HTTP.
async fn refused_upgrade_fails_the_upgrade_future(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    for (path, status) in [("/refuse-upgrade", 403), ("/refuse-upgrade-by-panic", 500)] {
        client.send(UPGRADE.replace("/upgrade", path)).await;
        assert_eq!(client.response().await.status, status);
        server.state.arrived().await;
    }
    client
        .send("CONNECT refuse-upgrade:80 HTTP/1.1\r\nHost: refuse-upgrade:80\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 403);
    server.state.arrived().await;
    assert_eq!(client.get("/").await.body, HELLO);
    // The future fails once the head of the response is sent.
    let endless = UPGRADE.replace("/upgrade", "/refuse-upgrade-endlessly");
    client.send(endless).await;
    assert_eq!(client.head().await.unwrap().status, 403);
    server.state.arrived().await;
    let mut h2 = server.h2().await;
    let mut tunnel = request("/");
    *tunnel.method_mut() = Method::CONNECT;
    *tunnel.uri_mut() = "refuse-upgrade:80".parse().unwrap();
    let (response, _send) = h2.begin(tunnel, false).await.unwrap();
    assert_eq!(response.await.unwrap().status(), StatusCode::FORBIDDEN);
    server.state.arrived().await;
    assert_eq!(h2.get("/").await.status, 200);
}

/// Asserts that the connection ends with EOF.
async fn assert_eof(client: &mut Client) {
    let end = client.io.read(&mut [0]).await;
    assert!(matches!(end, Ok(0)), "expected EOF, got {end:?}");
}

async fn bytes_sent_with_upgrade_request_are_kept(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(format!("{UPGRADE}already")).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(7).await.unwrap(), "already");
}

/// Bytes that were read with the request arrive, too.
async fn upgraded_connection_has_conn_info_and_drain(subject: AnySubject) {
    for early in ["first", "fi", ""] {
        let server = subject.serve();
        let mut client = server.client().await;
        let request = UPGRADE.replace("/upgrade", "/upgrade-info");
        client.send(format!("{request}{early}")).await;
        assert_eq!(client.head().await.unwrap().status, 101);
        client.send(&"first"[early.len()..]).await;
        let expected = "first on 1";
        assert_eq!(client.exactly(expected.len()).await.unwrap(), expected);
        let ended = server.handle.shutdown(AMPLE);
        assert_eq!(client.exactly(3).await.unwrap(), "bye");
        drop(client);
        assert_eq!(ended.await.unwrap().aborted, 0);
    }
}

async fn upgraded_connection_polls_a_deadline_and_the_drain(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client
        .send(UPGRADE.replace("/upgrade", "/upgrade-timeout"))
        .await;
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(4).await.unwrap(), "late");
    let ended = server.handle.shutdown(AMPLE);
    assert_eq!(client.exactly(3).await.unwrap(), "bye");
    drop(client);
    let report = ended.await.unwrap();
    assert_eq!((report.upgraded, report.aborted), (1, 0), "{report}");
}

async fn h2_tunnel_polls_a_deadline_and_the_drain(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (send, mut receiving) = h2.connect("/upgrade-timeout").await.unwrap();
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "late");
    let ended = server.handle.shutdown(AMPLE);
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "bye");
    drop((send, receiving));
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn h2_tunnel_has_conn_info_and_drain(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/upgrade-info").await.unwrap();
    send_all(&mut send, Bytes::from("first"), false)
        .await
        .unwrap();
    let expected = "first on 1";
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), expected);
    let ended = server.handle.shutdown(AMPLE);
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "bye");
    drop((send, receiving));
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn upgraded_connection_is_counted_until_it_ends(subject: AnySubject) {
    let server = subject.serve();
    let mut clients = Vec::new();
    for n in 1..=3 {
        clients.push(upgraded(&server).await);
        server.wait_for_connections(n).await;
    }
    for client in &mut clients {
        assert_echo(client, "still here").await;
    }
    clients.pop();
    server.wait_for_connections(2).await;
    drop(clients);
    server.wait_for_connections(0).await;
}

async fn extended_connect_echoes(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/tunnel").await.unwrap();
    for text in ["one", "two", "three"] {
        send_all(&mut send, Bytes::from(text), false).await.unwrap();
        assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), text);
    }
    send.send_data(Bytes::new(), true).unwrap();
    assert!(
        receive(&mut receiving).await.unwrap().is_none(),
        "expected END_STREAM from the echo"
    );
    assert_eq!(h2.get("/").await.status, 200);
}

async fn h2_tunnel_is_counted_until_it_ends(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/tunnel").await.unwrap();
    server.wait_for_connections(1).await;
    send_all(&mut send, Bytes::from("here"), false)
        .await
        .unwrap();
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "here");
    drop((send, receiving));
    h2.connection.abort();
    server.wait_for_connections(0).await;
}

async fn h2_tunnel_and_requests_share_a_connection(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/tunnel").await.unwrap();
    for _ in 0..10 {
        assert_eq!(h2.get("/").await.status, 200);
        send_all(&mut send, Bytes::from("tunnel"), false)
            .await
            .unwrap();
        assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "tunnel");
    }
}
