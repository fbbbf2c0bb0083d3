//! TLS, ALPN and HTTP/2.
use crate::{
    kit::{Kit, get, text},
    server::{Script, Served, TOGETHER},
};
use anyport_client::ErrorKind;
use anyport_core::{Body, Limits};
use futures_util::future::join_all;
use http::{Request, Response, Version};
use std::{io, time::Duration};

pub(crate) async fn alpn_chooses_http2_and_requests_share_a_connection<K: Kit>(kit: K) {
    let served = Served::https(|server| server);
    let client = kit.client();
    let response = client.send(get(&served.secure_uri("/"))).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    drop(response);
    let requests = (0..TOGETHER).map(|_| text(&client, get(&served.secure_uri("/together"))));
    for result in join_all(requests).await {
        assert_eq!(result.unwrap(), "");
    }
    assert_eq!(client.counts().opened, 1);
    kit.wait_until("all have ended", || client.counts().active == 0)
        .await;
}

pub(crate) async fn connections_are_added_when_streams_run_out<K: Kit>(kit: K) {
    let served = Served::https(|server| server.limits(Limits::default().with_h2_streams(2)));
    let client = kit.client();
    text(&client, get(&served.secure_uri("/"))).await.unwrap();
    for _ in 0..3 {
        let requests = (0..TOGETHER).map(|_| text(&client, get(&served.secure_uri("/together"))));
        for result in join_all(requests).await {
            assert_eq!(result.unwrap(), "");
        }
        assert_eq!(client.counts().opened as usize, TOGETHER / 2);
    }
}

pub(crate) async fn prior_knowledge_needs_no_tls<K: Kit>(kit: K) {
    let served = Served::http();
    let client = kit.build(kit.builder().http2_only());
    let requests = (0..TOGETHER).map(|_| text(&client, get(&served.uri("/together"))));
    for result in join_all(requests).await {
        assert_eq!(result.unwrap(), "");
    }
    assert_eq!(client.counts().opened, 1);
}

/// The server asks to reconnect, again and again: after ten requests, while others are in flight.
///
/// Servers usually ask after a time. On a busy machine, that could be before the first request of a
/// connection has been sent, and the client does not send such a request again.
pub(crate) async fn goaway_loses_no_request<K: Kit>(kit: K) {
    let script = Script::start(async |stream, _| {
        stream.set_nodelay(true)?;
        let mut http = h2::server::handshake(stream)
            .await
            .map_err(io::Error::other)?;
        let mut number = 0;
        while let Some(Ok((_, mut respond))) = http.accept().await {
            number += 1;
            if number == 10 {
                http.graceful_shutdown();
            }
            respond
                .send_response(Response::new(()), true)
                .map_err(io::Error::other)?;
        }
        Ok(())
    });
    let client = kit.build(kit.builder().http2_only());
    for _ in 0..10_000 {
        let requests = (0..4).map(|_| text(&client, get(&script.uri("/"))));
        for result in join_all(requests).await {
            assert_eq!(result.unwrap(), "");
        }
        if client.counts().opened > 50 {
            return;
        }
    }
    panic!("the server never asked: {:?}", client.counts());
}

pub(crate) async fn dropped_requests_free_their_streams<K: Kit>(kit: K) {
    let served = Served::https(|server| server.limits(Limits::default().with_h2_streams(2)));
    let client = kit.build(kit.builder().max_per_origin(1));
    for _ in 0..10 {
        let mut requests: Vec<_> = (0..4)
            .map(|_| Box::pin(client.send(get(&served.secure_uri("/never")))))
            .collect();
        while client.counts().active == 0 {
            for request in &mut requests {
                assert!(futures_util::poll!(request.as_mut()).is_pending());
            }
            kit.timer().sleep(Duration::from_millis(1)).await;
        }
        drop(requests);
        assert_eq!(
            text(&client, get(&served.secure_uri("/"))).await.unwrap(),
            ""
        );
    }
    kit.wait_until("all have ended", || client.counts().active == 0)
        .await;
    assert_eq!(
        client.counts().opened,
        1,
        "a canceled stream costs no connection"
    );
}

pub(crate) async fn https_without_http2_speaks_http1<K: Kit>(kit: K) {
    let served = Served::https(|server| server);
    let client = kit.build(kit.builder_with_alpn(["http/1.1"]));
    for _ in 0..3 {
        let response = client.send(get(&served.secure_uri("/"))).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        drop(response);
        kit.wait_until_free(&client).await;
    }
    assert_eq!(client.counts().opened, 1);
}

pub(crate) async fn untrusted_certificate_is_an_error<K: Kit>(kit: K) {
    let served = Served::https(|server| server);
    let client = kit.client();
    let uri = format!("https://127.0.0.1:{}/", served.port());
    let error = text(&client, get(&uri)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let line = error.to_string();
    let start = format!(
        "cannot connect to 127.0.0.1:{}: the handshake with",
        served.port()
    );
    assert!(line.starts_with(&start) && !line.contains('\n'), "{line}");
}

/// Refuses each request that this does not accept, by the number of the connection and its own.
fn refusing(accepts: impl Fn(usize, usize) -> bool + Copy + Send + 'static) -> Script {
    Script::start(move |stream, connection| async move {
        let mut http = h2::server::handshake(stream)
            .await
            .map_err(io::Error::other)?;
        let mut number = 0;
        while let Some(Ok((_, mut respond))) = http.accept().await {
            if accepts(connection, number) {
                let response = Response::new(());
                respond
                    .send_response(response, true)
                    .map_err(io::Error::other)?;
            } else {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            }
            number += 1;
        }
        Ok(())
    })
}

/// Each connection serves one request.
pub(crate) async fn refused_request_is_sent_again_if_it_may_be<K: Kit>(kit: K) {
    let script = refusing(|_, number| number == 0);
    let client = kit.build(kit.builder().http2_only());
    text(&client, get(&script.uri("/"))).await.unwrap();
    assert_eq!(client.counts().retried, 0);
    text(&client, get(&script.uri("/"))).await.unwrap();
    assert_eq!((client.counts().retried, script.accepted()), (1, 2));
    let put = Request::put(script.uri("/")).body(Body::from("x")).unwrap();
    let error = text(&client, put).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Refused,
        "its body is gone: {error:?}"
    );
    assert_eq!((client.counts().retried, script.accepted()), (1, 2));
    let client = kit.build(kit.builder().http2_only().without_retries());
    text(&client, get(&script.uri("/"))).await.unwrap();
    let error = text(&client, get(&script.uri("/"))).await.unwrap_err();
    let says = "refused the request before it was processed (send it again)";
    assert!(error.to_string().ends_with(says), "{error:?}");
}

pub(crate) async fn request_that_is_always_refused_is_an_error<K: Kit>(kit: K) {
    let script = refusing(|connection, number| connection + number == 0);
    let client = kit.build(kit.builder().http2_only());
    text(&client, get(&script.uri("/"))).await.unwrap();
    let error = text(&client, get(&script.uri("/"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(script.accepted() <= 6);
}
