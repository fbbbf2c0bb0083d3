//! Upgraded connections and streams: they are still counted, in HTTP/1 and HTTP/2.
use crate::{
    app::{HELLO, script::pattern},
    client::{
        Client, get,
        h2::{receive, request, send_all},
    },
    harness::{
        case::cases,
        site::Site,
        upgraded::{UPGRADE, echoes, upgraded},
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
    an_upgraded_connection_echoes also abroad,
    a_connect_becomes_a_tunnel also abroad,
    bytes_sent_with_the_upgrade_are_not_lost also abroad,
    an_offer_that_is_ignored_leaves_the_connection_as_it_is also abroad,
    an_app_that_refuses_an_upgrade_waits_for_none,
    an_upgraded_connection_knows_its_facts also abroad,
    an_upgraded_connection_has_a_deadline_and_is_told_of_the_drain also abroad,
    an_upgraded_connection_is_counted_until_it_ends also abroad,
    an_extended_connect_echoes also abroad,
    an_h2_tunnel_knows_its_facts also abroad,
    an_h2_tunnel_has_a_deadline_and_is_told_of_the_drain also abroad,
    an_h2_tunnel_is_counted_until_it_ends also abroad,
    an_h2_tunnel_and_requests_share_a_connection also abroad,
];

/// A grace that's never used up.
const AMPLE: Duration = Duration::from_secs(40);

async fn an_upgraded_connection_echoes(site: Site) {
    let server = site.serve();
    let mut client = upgraded(&server).await;
    for _ in 0..50 {
        echoes(&mut client, "over something else").await;
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
    assert!(got == sent, "all bytes, in order");
}

/// RFC 9110 9.3.6
async fn a_connect_becomes_a_tunnel(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client
        .send("CONNECT there:80 HTTP/1.1\r\nHost: there:80\r\n\r\n")
        .await;
    assert_eq!(client.head().await.unwrap().status, 200);
    echoes(&mut client, "through a tunnel").await;
    server.settles(1).await;
}

/// Java's client offers h2c with its first request, for one.
async fn an_offer_that_is_ignored_leaves_the_connection_as_it_is(site: Site) {
    for idle in [Duration::ZERO, Duration::from_millis(200), Duration::MAX] {
        let server =
            site.serve_as(|server| server.http(HttpOptions::default().with_hibernate_after(idle)));
        let mut client = server.client().await;
        let offer = get("/").replace(
            "\r\n\r\n",
            "\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        );
        for ask in [&*offer, &get("/"), &offer, &get("/")] {
            client.send(ask).await;
            let response = client.response().await;
            assert!(response.body == HELLO && !response.closes(), "{response:?}");
            // So long, such a connection has been idle before it's looked at.
            sleep(Duration::from_millis(20)).await;
        }
        // Also if it ends in the turn in which the offer was made.
        let mut other = server.client().await;
        let last = get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        other.send(format!("{offer}{last}")).await;
        for _ in 0..2 {
            assert_eq!(other.response().await.body, HELLO);
        }
        ends(&mut other).await;
        // A head that came with the request before is none the worse for it.
        client.send(format!("{offer}GET /host HT")).await;
        assert_eq!(client.response().await.body, HELLO);
        sleep(Duration::from_millis(20)).await;
        client
            .send("TP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(client.response().await.body, "test");
        ends(&mut client).await;
    }
}

/// Its future of the upgrade fails then, although the connection goes on.
async fn an_app_that_refuses_an_upgrade_waits_for_none(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    for (path, status) in [("/declines", 403), ("/declines-by-panic", 500)] {
        client.send(UPGRADE.replace("/upgrade", path)).await;
        assert_eq!(client.response().await.status, status);
        server.state.arrived().await;
    }
    client
        .send("CONNECT declines:80 HTTP/1.1\r\nHost: declines:80\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 403);
    server.state.arrived().await;
    assert_eq!(client.get("/").await.body, HELLO);
    // It's known from the head.
    let endless = UPGRADE.replace("/upgrade", "/declines-at-length");
    client.send(endless).await;
    assert_eq!(client.head().await.unwrap().status, 403);
    server.state.arrived().await;
    let mut h2 = server.h2().await;
    let mut tunnel = request("/");
    *tunnel.method_mut() = Method::CONNECT;
    *tunnel.uri_mut() = "declines:80".parse().unwrap();
    let (response, _send) = h2.begin(tunnel, false).await.unwrap();
    assert_eq!(response.await.unwrap().status(), StatusCode::FORBIDDEN);
    server.state.arrived().await;
    assert_eq!(h2.get("/").await.status, 200);
}

/// In order.
async fn ends(client: &mut Client) {
    let end = client.io.read(&mut [0]).await;
    assert!(matches!(end, Ok(0)), "its end is not in order: {end:?}");
}

async fn bytes_sent_with_the_upgrade_are_not_lost(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(format!("{UPGRADE}already")).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(7).await.unwrap(), "already");
}

/// Also of the bytes that were read with the request.
async fn an_upgraded_connection_knows_its_facts(site: Site) {
    for early in ["first", "fi", ""] {
        let server = site.serve();
        let mut client = server.client().await;
        let request = UPGRADE.replace("/upgrade", "/facts");
        client.send(format!("{request}{early}")).await;
        assert_eq!(client.head().await.unwrap().status, 101);
        client.send(&"first"[early.len()..]).await;
        let told = "first on 1";
        assert_eq!(client.exactly(told.len()).await.unwrap(), told);
        let ended = server.handle.shutdown(AMPLE);
        assert_eq!(client.exactly(3).await.unwrap(), "bye");
        drop(client);
        assert_eq!(ended.await.unwrap().aborted, 0);
    }
}

async fn an_upgraded_connection_has_a_deadline_and_is_told_of_the_drain(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(UPGRADE.replace("/upgrade", "/times")).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(4).await.unwrap(), "late");
    let ended = server.handle.shutdown(AMPLE);
    assert_eq!(client.exactly(3).await.unwrap(), "bye");
    drop(client);
    let report = ended.await.unwrap();
    assert_eq!((report.upgraded, report.aborted), (1, 0), "{report}");
}

async fn an_h2_tunnel_has_a_deadline_and_is_told_of_the_drain(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (send, mut receiving) = h2.connect("/times").await.unwrap();
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "late");
    let ended = server.handle.shutdown(AMPLE);
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "bye");
    drop((send, receiving));
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn an_h2_tunnel_knows_its_facts(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/facts").await.unwrap();
    send_all(&mut send, Bytes::from("first"), false)
        .await
        .unwrap();
    let told = "first on 1";
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), told);
    let ended = server.handle.shutdown(AMPLE);
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "bye");
    drop((send, receiving));
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn an_upgraded_connection_is_counted_until_it_ends(site: Site) {
    let server = site.serve();
    let mut clients = Vec::new();
    for n in 1..=3 {
        clients.push(upgraded(&server).await);
        server.settles(n).await;
    }
    for client in &mut clients {
        echoes(client, "still here").await;
    }
    clients.pop();
    server.settles(2).await;
    drop(clients);
    server.settles(0).await;
}

async fn an_extended_connect_echoes(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/tunnel").await.unwrap();
    for text in ["one", "two", "three"] {
        send_all(&mut send, Bytes::from(text), false).await.unwrap();
        assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), text);
    }
    send.send_data(Bytes::new(), true).unwrap();
    assert!(
        receive(&mut receiving).await.unwrap().is_none(),
        "the end comes back, too"
    );
    assert_eq!(h2.get("/").await.status, 200);
}

async fn an_h2_tunnel_is_counted_until_it_ends(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/tunnel").await.unwrap();
    server.settles(1).await;
    send_all(&mut send, Bytes::from("here"), false)
        .await
        .unwrap();
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), "here");
    drop((send, receiving));
    h2.connection.abort();
    server.settles(0).await;
}

async fn an_h2_tunnel_and_requests_share_a_connection(site: Site) {
    let server = site.serve();
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
