//! Servers that break the protocol, close, or say nothing.
use crate::{
    kit::{Kit, get, text},
    server::{OK, Script, Served, answer_all, read_head, refusing_port},
};
use anyport_client::ErrorKind;
use anyport_core::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

/// What a server sends before it closes, and the error.
const BROKEN: [(&str, ErrorKind, &str); 8] = [
    (
        "",
        ErrorKind::Closed,
        "closed the connection before its response was complete",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-le",
        ErrorKind::Closed,
        "closed the connection before",
    ),
    (
        "SSH-2.0-OpenSSH_9.2\r\n",
        ErrorKind::Protocol,
        "sent an invalid response",
    ),
    (
        "HTTP/1.1 999999 OK\r\n\r\n",
        ErrorKind::Protocol,
        "sent an invalid response",
    ),
    (
        "HTTP/1.1 200 OK\r\na\0b: c\r\n\r\n",
        ErrorKind::Protocol,
        "sent an invalid response",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        ErrorKind::Closed,
        "closed the connection before",
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        ErrorKind::Closed,
        "closed the connection before",
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        ErrorKind::Protocol,
        "sent an invalid response",
    ),
];

pub(crate) async fn broken_responses_are_errors_of_the_right_kind<K: Kit>(kit: K) {
    for (sent, kind, says) in BROKEN {
        let script = Script::start(async move |mut stream, _| {
            read_head(&mut stream).await?;
            stream.write_all(sent.as_bytes()).await
        });
        let client = kit.client();
        let error = text(&client, get(&script.uri("/"))).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sent:?}: {error:?}");
        let line = error.to_string();
        assert!(
            line.starts_with(&format!("http://a.test:{} ", script.address.port())),
            "{line}"
        );
        assert!(
            line.contains(says) && line.contains('(') && !line.contains('\n'),
            "{line}"
        );
        kit.wait_until("nothing is left", || {
            let counts = client.counts();
            counts.idle + counts.active + counts.connecting + counts.waiting == 0
        })
        .await;
        assert_eq!(script.accepted(), 1, "it is not repeated: {line}");
    }
}

/// The server closes each connection after one response, without saying so.
pub(crate) async fn connection_that_the_server_closed_is_replaced<K: Kit>(kit: K) {
    let script = Script::start(async |mut stream, _| {
        read_head(&mut stream).await?;
        stream.write_all(OK).await
    });
    let client = kit.client();
    for method in [Method::GET, Method::POST, Method::GET, Method::POST] {
        let request = Request::builder().method(&method).uri(script.uri("/"));
        let request = request.body(Body::from("body")).unwrap();
        // The client reads the end of the connection as soon as it has come.
        assert_eq!(text(&client, request).await.unwrap(), "ok", "{method}");
        kit.wait_until_closed(&client).await;
    }
    assert_eq!(script.accepted(), 4);
}

/// On the second request of a connection, the server closes after it has read it.
pub(crate) async fn request_without_a_response_is_repeated_once_if_it_may_be<K: Kit>(kit: K) {
    let script = Script::start(async |mut stream, _| {
        read_head(&mut stream).await?;
        stream.write_all(OK).await?;
        read_head(&mut stream).await.map(drop)
    });
    let client = kit.client();
    text(&client, get(&script.uri("/"))).await.unwrap();
    kit.wait_until_free(&client).await;
    assert_eq!(text(&client, get(&script.uri("/"))).await.unwrap(), "ok");
    assert_eq!((client.counts().retried, script.accepted()), (1, 2));
    kit.wait_until_free(&client).await;
    let post = Request::post(script.uri("/")).body(Body::empty()).unwrap();
    let error = text(&client, post).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    text(&client, get(&script.uri("/"))).await.unwrap();
    kit.wait_until_free(&client).await;
    let put = Request::put(script.uri("/")).body(Body::from("x")).unwrap();
    let error = text(&client, put).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "its body is gone");
    assert_eq!(client.counts().retried, 1);

    let client = kit.build(kit.builder().without_retries());
    text(&client, get(&script.uri("/"))).await.unwrap();
    kit.wait_until_free(&client).await;
    let error = text(&client, get(&script.uri("/"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

pub(crate) async fn connection_close_is_heeded<K: Kit>(kit: K) {
    let script = Script::start(async |mut stream, _| {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            .await?;
        // It stays open: the client closes it.
        stream.read_u8().await.map(drop)
    });
    let client = kit.client();
    for _ in 0..3 {
        assert_eq!(text(&client, get(&script.uri("/"))).await.unwrap(), "ok");
    }
    assert_eq!((client.counts().opened, client.counts().reused), (3, 0));
}

pub(crate) async fn bytes_after_a_response_are_no_response<K: Kit>(kit: K) {
    let script = Script::start(async |mut stream, _| {
        read_head(&mut stream).await?;
        stream.write_all(OK).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")
            .await?;
        answer_all(stream).await
    });
    let client = kit.client();
    for _ in 0..5 {
        // The bytes may come later than the response, so a request may meet them, and is repeated.
        match text(&client, get(&script.uri("/"))).await {
            Ok(body) => assert_eq!(body, "ok"),
            Err(error) => panic!("{error:?}"),
        }
        kit.wait_until_closed(&client).await;
    }
}

/// The response comes before the request's body has been sent.
pub(crate) async fn early_response_is_delivered<K: Kit>(kit: K) {
    let script = Script::start(async |mut stream, _| {
        read_head(&mut stream).await?;
        stream
            .write_all(
                b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno",
            )
            .await?;
        let mut rest = vec![0; 1 << 16];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    });
    let client = kit.client();
    let big = Body::from(vec![b'x'; 8 << 20]);
    let request = Request::post(script.uri("/")).body(big).unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    drop(response);
    kit.wait_until("the connection is closed", || client.counts().active == 0)
        .await;
    assert_eq!(client.counts().idle, 0);
}

pub(crate) async fn silent_server_is_a_timeout<K: Kit>(kit: K) {
    const LIMIT: Duration = Duration::from_millis(50);
    const NEVER: Duration = Duration::from_secs(600);
    let silent = Script::start(async |_stream, _| std::future::pending::<io::Result<()>>().await);
    let client = kit.build(kit.builder().head_timeout(LIMIT));
    let error = text(&client, get(&silent.uri("/"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HeadTimeout);
    let origin = format!("http://a.test:{}", silent.address.port());
    assert_eq!(
        error.to_string(),
        format!(
            "{origin} sent no response head within 50ms (raise `head_timeout` if it needs longer)"
        )
    );
    // It never reads, so the body fills the buffers of the system.
    let big = Body::from(vec![b'x'; 8 << 20]);
    let request = Request::post(silent.uri("/")).body(big).unwrap();
    let error = text(&client, request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HeadTimeout);

    let pausing = Script::start(async |mut stream, _| {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
            .await?;
        std::future::pending().await
    });
    let timeouts = [
        (kit.builder().body_timeout(LIMIT), ErrorKind::BodyTimeout),
        (kit.builder().timeout(LIMIT), ErrorKind::Timeout),
        (
            kit.builder().body_timeout(LIMIT).timeout(NEVER),
            ErrorKind::BodyTimeout,
        ),
    ];
    for (builder, kind) in timeouts {
        let client = kit.build(builder);
        let error = text(&client, get(&pausing.uri("/"))).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        kit.wait_until("the connection is closed", || client.counts().active == 0)
            .await;
    }
    let client = kit.build(kit.builder().timeout(LIMIT));
    let error = text(&client, get(&silent.uri("/"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

pub(crate) async fn refusing_server_is_an_error<K: Kit>(kit: K) {
    let (port, _reserved) = refusing_port();
    let client = kit.client();
    let error = text(&client, get(&format!("http://a.test:{port}/")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to a.test:{port}: 127.0.0.1:{port} refused; AAAA: no usable address"
        )
    );
    let error = text(&client, get("/path")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

pub(crate) async fn server_that_restarts_is_reached_again<K: Kit>(kit: K) {
    // Nobody else gets the port meanwhile.
    let reserved = TcpSocket::new_v4().unwrap();
    reserved.set_reuseaddr(true).unwrap();
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = reserved.local_addr().unwrap();
    let first = Script::at(address, |stream, _| answer_all(stream));
    let client = kit.client();
    let uri = first.uri("/");
    for _ in 0..3 {
        text(&client, get(&uri)).await.unwrap();
    }
    first.stop().await;
    kit.wait_until_closed(&client).await;
    let error = text(&client, get(&uri)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    let _second = Script::at(address, |stream, _| answer_all(stream));
    assert_eq!(text(&client, get(&uri)).await.unwrap(), "ok");
}

pub(crate) async fn upgraded_connection_counts_until_it_ends<K: Kit>(kit: K) {
    let script = Script::start(async |mut stream, _| {
        read_head(&mut stream).await?;
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
            )
            .await?;
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await?;
        stream.write_all(&bytes).await?;
        stream.read_u8().await.map(drop)
    });
    let client = kit.build(
        kit.builder()
            .max_per_origin(1)
            .queue_timeout(Duration::from_millis(50)),
    );
    let mut tries = 0;
    let response = loop {
        let request = Request::get(script.uri("/"));
        let request = request
            .header("connection", "upgrade")
            .header("upgrade", "echo");
        match client.send(request.body(Body::empty()).unwrap()).await {
            Ok(response) => break response,
            // Connecting took longer than that. The attempt goes on, for the next request.
            Err(error) => assert_eq!(error.kind(), ErrorKind::QueueTimeout),
        }
        tries += 1;
        assert!(tries < 1000, "no request got the connection");
    };
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    let mut stream = hyper_util::rt::TokioIo::new(upgraded);
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    assert_eq!(client.counts().active, 1);
    let error = text(&client, get(&script.uri("/"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueTimeout);
    drop(stream);
    kit.wait_until("it no longer counts", || client.counts().active == 0)
        .await;
}

pub(crate) async fn request_body_that_fails_is_an_error<K: Kit>(kit: K) {
    let served = Served::https(|server| server);
    for alpn in ["http/1.1", "h2"] {
        let client = kit.build(kit.builder_with_alpn([alpn]));
        for sent in [0, 3] {
            let frames = std::iter::repeat_with(|| Ok(Frame::data(Bytes::from_static(b"data"))));
            let failure = Err(io::Error::other("the disk is gone"));
            let frames: Vec<_> = frames.take(sent).chain([failure]).collect();
            let body = Body::new(StreamBody::new(stream::iter(frames)));
            let request = Request::post(served.secure_uri("/")).body(body).unwrap();
            let error = text(&client, request).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RequestBody, "{alpn}: {error:?}");
            let port = served.port();
            let line = format!("the body of the request to https://a.test:{port} failed");
            assert!(error.to_string().starts_with(&line), "{error:?}");
            // hyper loses the error of a body over HTTP/2.
            let is_told = error.to_string().ends_with(": the disk is gone");
            assert_eq!(is_told, alpn == "http/1.1", "{error:?}");
            assert_eq!(
                text(&client, get(&served.secure_uri("/"))).await.unwrap(),
                ""
            );
        }
    }
}
