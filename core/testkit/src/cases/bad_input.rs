//! Peers that send garbage or too much, or disconnect early: only their own connection ends.
use crate::{
    client::{
        Response, get,
        h2::{receive, request},
        post,
    },
    harness::{case::cases, running::Running, site::Site},
};
use anyport_core::Limits;
use std::{fmt::Write as _, io};
use tokio::{io::AsyncReadExt, task::yield_now};

cases![
    garbage_is_refused,
    garbage_after_the_h2_preface_is_refused,
    an_oversized_head_is_a_431,
    too_many_headers_are_a_431,
    a_length_beside_chunks_smuggles_nothing,
    differing_lengths_are_a_400,
    a_transfer_coding_but_chunked_is_refused,
    an_asterisk_is_a_target_of_options_only,
    h2_values_with_spaces_around_them_are_a_400,
    a_peer_may_leave_before_it_spoke,
    a_peer_may_leave_in_mid_preface,
    a_peer_may_leave_in_mid_head,
    a_peer_may_leave_in_mid_body,
    a_peer_may_leave_in_mid_download,
    a_peer_may_leave_while_it_is_answered,
    an_h2_peer_may_leave_with_streams_open,
    a_flood_of_h2_resets_ends_that_connection,
];

/// Sends this and gets the answer, if there's one; in any case, the server closes then.
async fn refused(server: &Running, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
    let mut client = server.client().await;
    client.send(bytes).await;
    let response = client.try_response().await;
    client.closed().await;
    response
}

async fn all_well(server: &Running) {
    server.settles(0).await;
    server.serves_others().await;
}

async fn garbage_is_refused(site: Site) {
    let server = site.serve();
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n";
    let garbage: [&[u8]; 5] = [
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: test\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        tls_hello,
    ];
    for bytes in garbage {
        match refused(&server, bytes).await {
            Ok(response) => assert!([400, 505].contains(&response.status), "{response:?}"),
            Err(e) => assert_ne!(e.kind(), io::ErrorKind::TimedOut),
        }
    }
    all_well(&server).await;
}

async fn garbage_after_the_h2_preface_is_refused(site: Site) {
    let server = site.serve();
    let mut client = server.raw_h2().await;
    client
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame at all")
        .await;
    // Its settings and perhaps a GOAWAY; what matters is the end.
    client.rest().await;
    all_well(&server).await;
}

async fn an_oversized_head_is_a_431(site: Site) {
    let limits = Limits::default().with_head_bytes(8 * 1024);
    let server = site.serve_as(|server| server.limits(limits));
    for size in [8 * 1024, 12 * 1024, 100 * 1024] {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n",
            "x".repeat(size)
        );
        let response = refused(&server, head).await.expect("an answer");
        assert_eq!(response.status, 431, "{size} bytes");
    }
    let fits = format!(
        "GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n",
        "x".repeat(7 * 1024)
    );
    assert_eq!(server.ask(&fits).await.status, 200);
    all_well(&server).await;
}

async fn too_many_headers_are_a_431(site: Site) {
    let server = site.serve();
    let head = |n| {
        let mut head = "GET / HTTP/1.1\r\nHost: test\r\n".to_owned();
        (1..n).for_each(|i| write!(head, "X-{i}: x\r\n").unwrap());
        head + "\r\n"
    };
    assert_eq!(refused(&server, head(101)).await.unwrap().status, 431);
    assert_eq!(server.ask(&head(100)).await.status, 200);
    all_well(&server).await;
}

/// RFC 9112 6.3: chunks win, or it's an error; and then the connection closes (6.1).
async fn a_length_beside_chunks_smuggles_nothing(site: Site) {
    let server = site.serve();
    let framing = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ];
    for framing in framing {
        let mut client = server.client().await;
        let head = format!("POST /len HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n");
        client
            .send(format!("{head}5\r\nhello\r\n0\r\n\r\n{}", get("/")))
            .await;
        let response = client.response().await;
        match response.status {
            400 => {}
            200 => assert_eq!(response.body, "5", "chunks win"),
            _ => panic!("{response:?}"),
        }
        client.closed().await;
    }
    all_well(&server).await;
}

/// RFC 9112 6.3
async fn differing_lengths_are_a_400(site: Site) {
    let server = site.serve();
    let head =
        "POST /len HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(refused(&server, head).await.unwrap().status, 400);
    for length in ["-1", "+5", "5 5", "0x5", "99999999999999999999"] {
        let head =
            format!("POST /len HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\nhello");
        assert_eq!(
            refused(&server, head).await.unwrap().status,
            400,
            "{length}"
        );
    }
    all_well(&server).await;
}

/// RFC 9112 6.1
async fn a_transfer_coding_but_chunked_is_refused(site: Site) {
    let server = site.serve();
    let next = get("/host");
    for (codings, status) in [
        ("Transfer-Encoding: chunked, chunked", 400),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
        ),
        ("Transfer-Encoding: identity, chunked", 400),
        ("Transfer-Encoding: identity", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: xchunked, chunked", 501),
    ] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nHost: test\r\n{codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{next}"
        );
        let response = refused(&server, request).await.expect("an answer");
        assert_eq!(response.status, status, "{codings}");
        assert!(response.closes(), "{codings}: {response:?}");
    }
    for coding in ["chunked", "Chunked", " chunked "] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        assert_eq!(server.ask(&request).await.body, "hello", "{coding}");
    }
    all_well(&server).await;
}

/// RFC 9112 3.2.4
async fn an_asterisk_is_a_target_of_options_only(site: Site) {
    let server = site.serve();
    let star = |method: &str| format!("{method} * HTTP/1.1\r\nHost: test\r\n\r\n");
    for method in ["GET", "POST", "HEAD"] {
        let mut client = server.client().await;
        client.send(star(method)).await;
        let head = client.head().await.unwrap();
        assert!(head.status == 400 && head.closes(), "{method}: {head:?}");
    }
    assert_eq!(
        server.ask(&star("OPTIONS")).await.status,
        404,
        "the app's answer"
    );
}

/// RFC 9113 8.2.1
async fn h2_values_with_spaces_around_them_are_a_400(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    for value in [" x", "x ", "\tx", "x\t", " "] {
        let mut request = request("/");
        request.headers_mut().insert("x", value.parse().unwrap());
        let (response, _) = h2.begin(request, true).await.unwrap();
        assert_eq!(response.await.unwrap().status(), 400, "{value:?}");
    }
    assert_eq!(h2.get("/").await.status, 200, "the others go on");
}

async fn a_peer_may_leave_before_it_spoke(site: Site) {
    let server = site.serve();
    let io = server.connect().await;
    server.settles(1).await;
    drop(io);
    all_well(&server).await;
}

async fn a_peer_may_leave_in_mid_preface(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send("PRI * HTT").await;
    drop(client);
    all_well(&server).await;
}

async fn a_peer_may_leave_in_mid_head(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.status, 200);
    client.send("GET / HTTP/1.1\r\nHos").await;
    drop(client);
    all_well(&server).await;
}

async fn a_peer_may_leave_in_mid_body(site: Site) {
    let server = site.serve();
    for path in ["/len", "/echo", "/"] {
        let mut client = server.client().await;
        client.send(post(path, 1000)).await;
        client.send("not a thousand bytes").await;
        drop(client);
    }
    all_well(&server).await;
}

async fn a_peer_may_leave_in_mid_download(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/stream")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    client.io.read_exact(&mut vec![0; 100_000]).await.unwrap();
    drop(client);
    all_well(&server).await;
}

async fn a_peer_may_leave_while_it_is_answered(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    all_well(&server).await;
}

async fn an_h2_peer_may_leave_with_streams_open(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (_waiting, _) = h2.begin(request("/forever"), true).await.unwrap();
    server.state.arrived().await;
    let (download, _) = h2.begin(request("/stream"), true).await.unwrap();
    let mut download = download.await.unwrap().into_body();
    assert!(receive(&mut download).await.unwrap().is_some());
    h2.connection.abort();
    server.state.dropped().await;
    all_well(&server).await;
}

/// "Rapid reset", CVE-2023-44487: streams that are opened and reset at once cost their server work,
/// and their client nothing.
async fn a_flood_of_h2_resets_ends_that_connection(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let mut floods = 0;
    while let Ok((_, mut stream)) = h2.begin(request("/slow"), false).await {
        stream.send_reset(h2::Reason::CANCEL);
        floods += 1;
        assert!(floods < 100_000, "never ended");
        // The head has to leave before its reset, or neither does.
        yield_now().await;
    }
    h2.closed().await;
    server.serves_others().await;
    server.settles(0).await;
}
