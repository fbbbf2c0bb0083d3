//! Peers that send garbage or too much, or disconnect in the middle. Only their own connection is
//! affected.
use crate::{
    client::{
        Response, get,
        h2::{receive, request},
        post,
    },
    harness::{any_subject::AnySubject, case::cases, test_server::TestServer},
};
use anyport_core::Limits;
use std::{fmt::Write as _, io};
use tokio::{io::AsyncReadExt, task::yield_now};

cases![
    garbage_is_rejected,
    garbage_after_h2_preface_closes_connection,
    oversized_head_gets_431,
    too_many_headers_get_431,
    content_length_beside_chunked_smuggles_no_request,
    differing_content_lengths_get_400,
    unknown_transfer_coding_is_rejected,
    asterisk_target_is_for_options_only,
    h2_field_values_with_outer_whitespace_get_400,
    disconnect_before_first_byte_is_harmless,
    disconnect_during_preface_is_harmless,
    disconnect_during_head_is_harmless,
    disconnect_during_upload_is_harmless,
    disconnect_during_download_is_harmless,
    disconnect_while_handler_runs_drops_the_handler,
    h2_disconnect_with_open_streams_drops_their_handlers,
    h2_reset_flood_closes_the_connection,
];

/// Sends these bytes and returns the response, if there is one. The server must close in any case.
async fn refused(server: &TestServer, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
    let mut client = server.client().await;
    client.send(bytes).await;
    let response = client.try_response().await;
    client.assert_closed().await;
    response
}

async fn assert_healthy(server: &TestServer) {
    server.wait_for_connections(0).await;
    server.assert_serves_new_clients().await;
}

async fn garbage_is_rejected(subject: AnySubject) {
    let server = subject.serve();
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
    assert_healthy(&server).await;
}

async fn garbage_after_h2_preface_closes_connection(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.raw_h2().await;
    client
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame at all")
        .await;
    // SETTINGS, and perhaps a GOAWAY, come before the end.
    client.read_to_close().await;
    assert_healthy(&server).await;
}

async fn oversized_head_gets_431(subject: AnySubject) {
    let limits = Limits::default().with_head_bytes(8 * 1024);
    let server = subject.serve_configured(|server| server.limits(limits));
    for size in [8 * 1024, 12 * 1024, 100 * 1024] {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n",
            "x".repeat(size)
        );
        let response = refused(&server, head)
            .await
            .expect("expected a response before the close");
        assert_eq!(
            response.status, 431,
            "status for a head of more than {size} bytes"
        );
    }
    let fits = format!(
        "GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n",
        "x".repeat(7 * 1024)
    );
    assert_eq!(server.exchange(&fits).await.status, 200);
    assert_healthy(&server).await;
}

async fn too_many_headers_get_431(subject: AnySubject) {
    let server = subject.serve();
    let head = |n| {
        let mut head = "GET / HTTP/1.1\r\nHost: test\r\n".to_owned();
        (1..n).for_each(|i| write!(head, "X-{i}: x\r\n").unwrap());
        head + "\r\n"
    };
    assert_eq!(refused(&server, head(101)).await.unwrap().status, 431);
    assert_eq!(server.exchange(&head(100)).await.status, 200);
    assert_healthy(&server).await;
}

/// RFC 9112 6.3: chunked overrides the length, or the request is invalid. Then the connection
/// closes (6.1).
async fn content_length_beside_chunked_smuggles_no_request(subject: AnySubject) {
    let server = subject.serve();
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
            200 => assert_eq!(
                response.body, "5",
                "the length of the body, which chunked decides"
            ),
            _ => panic!("{response:?}"),
        }
        client.assert_closed().await;
    }
    assert_healthy(&server).await;
}

/// RFC 9112 6.3
async fn differing_content_lengths_get_400(subject: AnySubject) {
    let server = subject.serve();
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
    assert_healthy(&server).await;
}

/// RFC 9112 6.1
async fn unknown_transfer_coding_is_rejected(subject: AnySubject) {
    let server = subject.serve();
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
        let response = refused(&server, request)
            .await
            .expect("expected a response before the close");
        assert_eq!(
            response.status, status,
            "status for `Transfer-Encoding: {codings}`"
        );
        assert!(
            response.closes(),
            "expected a close after `Transfer-Encoding: {codings}`, got {response:?}"
        );
    }
    for coding in ["chunked", "Chunked", " chunked "] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        assert_eq!(
            server.exchange(&request).await.body,
            "hello",
            "the body for `Transfer-Encoding:{coding}`"
        );
    }
    assert_healthy(&server).await;
}

/// RFC 9112 3.2.4
async fn asterisk_target_is_for_options_only(subject: AnySubject) {
    let server = subject.serve();
    let star = |method: &str| format!("{method} * HTTP/1.1\r\nHost: test\r\n\r\n");
    for method in ["GET", "POST", "HEAD"] {
        let mut client = server.client().await;
        client.send(star(method)).await;
        let head = client.head().await.unwrap();
        assert!(
            head.status == 400 && head.closes(),
            "expected 400 and a close for `{method} *`, got {head:?}"
        );
    }
    assert_eq!(
        server.exchange(&star("OPTIONS")).await.status,
        404,
        "the status of the app for `OPTIONS *`"
    );
}

/// RFC 9113 8.2.1
async fn h2_field_values_with_outer_whitespace_get_400(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    for value in [" x", "x ", "\tx", "x\t", " "] {
        let mut request = request("/");
        request.headers_mut().insert("x", value.parse().unwrap());
        let (response, _) = h2.begin(request, true).await.unwrap();
        assert_eq!(
            response.await.unwrap().status(),
            400,
            "status for the field value {value:?}"
        );
    }
    assert_eq!(
        h2.get("/").await.status,
        200,
        "GET / on another stream, which must not be affected"
    );
}

async fn disconnect_before_first_byte_is_harmless(subject: AnySubject) {
    let server = subject.serve();
    let io = server.connect().await;
    server.wait_for_connections(1).await;
    drop(io);
    assert_healthy(&server).await;
}

async fn disconnect_during_preface_is_harmless(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send("PRI * HTT").await;
    drop(client);
    assert_healthy(&server).await;
}

async fn disconnect_during_head_is_harmless(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.status, 200);
    client.send("GET / HTTP/1.1\r\nHos").await;
    drop(client);
    assert_healthy(&server).await;
}

async fn disconnect_during_upload_is_harmless(subject: AnySubject) {
    let server = subject.serve();
    for path in ["/len", "/echo", "/"] {
        let mut client = server.client().await;
        client.send(post(path, 1000)).await;
        client.send("not a thousand bytes").await;
        drop(client);
    }
    assert_healthy(&server).await;
}

async fn disconnect_during_download_is_harmless(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/stream")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    client.io.read_exact(&mut vec![0; 100_000]).await.unwrap();
    drop(client);
    assert_healthy(&server).await;
}

async fn disconnect_while_handler_runs_drops_the_handler(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    drop(client);
    server.state.dropped().await;
    assert_healthy(&server).await;
}

async fn h2_disconnect_with_open_streams_drops_their_handlers(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (_waiting, _) = h2.begin(request("/forever"), true).await.unwrap();
    server.state.arrived().await;
    let (download, _) = h2.begin(request("/stream"), true).await.unwrap();
    let mut download = download.await.unwrap().into_body();
    assert!(receive(&mut download).await.unwrap().is_some());
    h2.connection.abort();
    server.state.dropped().await;
    assert_healthy(&server).await;
}

/// "Rapid reset", CVE-2023-44487: opening streams and resetting them at once costs the server work,
/// and the client nothing.
async fn h2_reset_flood_closes_the_connection(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let mut floods = 0;
    while let Ok((_, mut stream)) = h2.begin(request("/slow"), false).await {
        stream.send_reset(h2::Reason::CANCEL);
        floods += 1;
        assert!(
            floods < 100_000,
            "expected the connection to close, still open after {floods} resets"
        );
        // The head must be sent before the reset, or h2 sends neither.
        yield_now().await;
    }
    h2.assert_closed().await;
    server.assert_serves_new_clients().await;
    server.wait_for_connections(0).await;
}
