//! Apps that fail. The request gets a response if none has begun, and other requests and
//! connections are not affected.
use crate::{
    app::{HELLO, state::AppFault},
    client::{
        get,
        h2::{H2, request, whole},
    },
    harness::{any_subject::AnySubject, case::cases, test_server::TestServer},
};
use anyport_core::HttpOptions;
use http::StatusCode;
use std::io;

cases![
    app_error_becomes_500,
    status_function_sets_the_error_status,
    non_error_status_from_status_function_becomes_500,
    poll_ready_error_becomes_503,
    panic_in_call_becomes_500,
    panic_in_future_becomes_500,
    panic_in_poll_ready_becomes_500,
    panic_in_clone_for_request_becomes_500,
    panic_in_clone_for_connection_fails_only_that_connection,
    panic_in_status_function_becomes_500,
    panic_in_body_truncates_the_response,
    error_in_body_truncates_the_response,
    panic_in_future_drop_is_contained,
    panic_in_body_drop_is_contained,
    h2_failed_stream_leaves_connection_usable,
    h2_waiting_streams_survive_panics_of_other_streams,
    h2_panic_in_body_resets_its_stream,
    h2_panic_in_future_drop_is_contained,
    hundred_panics_leak_nothing,
];

/// Keeps another connection open during the failure, and asserts that it is not affected.
async fn with_bystander(subject: &AnySubject, fails: impl AsyncFnOnce(&TestServer)) {
    with_bystander_on(subject.serve(), fails).await;
}

async fn with_bystander_on(server: TestServer, fails: impl AsyncFnOnce(&TestServer)) {
    let mut bystander = server.client().await;
    assert_eq!(bystander.get("/").await.body, HELLO);
    fails(&server).await;
    assert_eq!(
        bystander.get("/").await.body,
        HELLO,
        "GET / on another connection, which must not be affected"
    );
    server.wait_for_connections(1).await;
    drop(bystander);
    server.wait_for_connections(0).await;
    server.assert_serves_new_clients().await;
}

/// Asserts the status of the response. The connection then continues, or closes as announced.
async fn assert_status(server: &TestServer, path: &str, fault: Option<AppFault>, status: u16) {
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.status, 200);
    if let Some(fault) = fault {
        server.state.inject(fault);
    }
    let response = client.get(path).await;
    assert_eq!(response.status, status);
    if response.closes() {
        client.assert_closed().await;
    } else {
        assert_eq!(client.get("/").await.status, 200);
    }
}

async fn app_error_becomes_500(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_status(server, "/error", None, 500).await
    })
    .await;
}

async fn status_function_sets_the_error_status(subject: AnySubject) {
    let http = HttpOptions::default().with_error_status(|error| {
        assert_eq!(error.to_string(), "a mistake");
        StatusCode::IM_A_TEAPOT
    });
    let server = subject.serve_configured(|server| server.http(http));
    with_bystander_on(server, async |server| {
        assert_status(server, "/error", None, 418).await;
        assert_eq!(server.h2().await.get("/error").await.status, 418);
        assert_status(server, "/panic", None, 500).await;
    })
    .await;
}

/// The client would wait for ever after an informational status. Others would report success.
async fn non_error_status_from_status_function_becomes_500(subject: AnySubject) {
    for status in [100, 101, 103, 200, 204, 301, 304] {
        let status = StatusCode::from_u16(status).unwrap();
        let http = HttpOptions::default().with_error_status(move |_| status);
        let server = subject.serve_configured(|server| server.http(http));
        let (h1, mut h2) = (server.exchange(&get("/error")).await, server.h2().await);
        assert_eq!(h1.status, 500, "the status function returned {status}");
        assert_eq!(
            h2.get("/error").await.status,
            500,
            "the status function returned {status}"
        );
    }
}

async fn poll_ready_error_becomes_503(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_status(server, "/", Some(AppFault::NotReady), 503).await
    })
    .await;
}

async fn panic_in_call_becomes_500(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_status(server, "/panic-call", None, 500).await
    })
    .await;
}

async fn panic_in_future_becomes_500(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_status(server, "/panic", None, 500).await
    })
    .await;
}

async fn panic_in_poll_ready_becomes_500(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_status(server, "/", Some(AppFault::PanicInPollReady), 500).await
    })
    .await;
}

async fn panic_in_clone_for_request_becomes_500(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_status(server, "/", Some(AppFault::PanicInClone), 500).await
    })
    .await;
}

async fn panic_in_clone_for_connection_fails_only_that_connection(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        server.state.inject(AppFault::PanicInClone);
        let mut client = server.pending_client().await;
        client.send(get("/")).await;
        match client.try_response().await {
            // The service may also be cloned later, for the request.
            Ok(response) => assert_eq!(response.status, 500),
            Err(_) => client.assert_closed().await,
        }
    })
    .await;
}

async fn panic_in_status_function_becomes_500(subject: AnySubject) {
    let http =
        HttpOptions::default().with_error_status(|_| panic!("deliberate: in the status function"));
    let server = subject.serve_configured(|server| server.http(http));
    with_bystander_on(server, async |server| {
        assert_status(server, "/error", None, 500).await
    })
    .await;
}

/// Asserts that the client receives the part that was sent, sees that it is incomplete, and that
/// the connection closes.
async fn assert_truncated(server: &TestServer, path: &str) {
    let mut client = server.client().await;
    client.send(get(path)).await;
    match client.try_response().await {
        Ok(response) => panic!("expected a truncated response, got a complete one: {response:?}"),
        Err(e) => assert!(
            [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&e.kind()),
            "{e}"
        ),
    }
    client.assert_closed().await;
}

async fn panic_in_body_truncates_the_response(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_truncated(server, "/panic-body").await
    })
    .await;
}

async fn error_in_body_truncates_the_response(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        assert_truncated(server, "/error-body").await
    })
    .await;
}

async fn panic_in_future_drop_is_contained(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        let mut client = server.client().await;
        client.send(get("/panic-drop")).await;
        server.state.arrived().await;
        drop(client);
        server.state.dropped().await;
    })
    .await;
}

async fn panic_in_body_drop_is_contained(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        let mut client = server.client().await;
        client.send(get("/panic-body-drop")).await;
        // The response may be complete or truncated, but the connection must not hang.
        let whole = client
            .try_response()
            .await
            .is_ok_and(|response| !response.closes());
        if whole {
            drop(client);
        } else {
            client.assert_closed().await;
        }
        let mut h2 = server.h2().await;
        let _ = h2.try_get("/panic-body-drop").await;
        assert_eq!(
            h2.get("/").await.body,
            HELLO,
            "GET / on the same connection, which must stay usable"
        );
    })
    .await;
}

async fn h2_failed_stream_leaves_connection_usable(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        let mut h2 = server.h2().await;
        for _ in 0..3 {
            for path in ["/error", "/panic-call", "/panic"] {
                assert_eq!(h2.get(path).await.status, 500, "status for {path}");
            }
            for (fault, status) in [
                (AppFault::NotReady, 503),
                (AppFault::PanicInPollReady, 500),
                (AppFault::PanicInClone, 500),
            ] {
                server.state.inject(fault);
                assert_eq!(h2.get("/").await.status, status, "status after {fault:?}");
            }
            assert_eq!(
                h2.get("/").await.body,
                HELLO,
                "GET / on the same connection, which must stay usable"
            );
        }
    })
    .await;
}

async fn h2_waiting_streams_survive_panics_of_other_streams(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        let mut h2 = server.h2().await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let (response, _) = h2.begin(request("/slow"), true).await.unwrap();
            server.state.arrived().await;
            waiting.push(response);
        }
        for path in ["/panic-call", "/panic"] {
            assert_eq!(h2.get(path).await.status, 500, "status for {path}");
        }
        let error = h2.try_get("/panic-body").await.unwrap_err();
        assert!(error.is_reset(), "{error}");
        reset_panicking_stream(server, &mut h2).await;
        waiting.iter().for_each(|_| server.state.release());
        for response in waiting {
            assert_eq!(whole(response).await.unwrap().body, HELLO);
        }
    })
    .await;
}

async fn h2_panic_in_body_resets_its_stream(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        let mut h2 = server.h2().await;
        for path in ["/panic-body", "/error-body"] {
            let error = h2
                .try_get(path)
                .await
                .expect_err("expected a reset of the stream");
            assert!(
                error.is_reset(),
                "expected a reset of the stream of {path}, got {error}"
            );
            assert_eq!(
                h2.get("/").await.body,
                HELLO,
                "GET / on the same connection, which must stay usable"
            );
        }
    })
    .await;
}

/// Resets a stream of this connection whose handler panics when dropped.
async fn reset_panicking_stream(server: &TestServer, h2: &mut H2) {
    let (response, mut send) = h2.begin(request("/panic-drop"), false).await.unwrap();
    server.state.arrived().await;
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    server.state.dropped().await;
}

async fn h2_panic_in_future_drop_is_contained(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        let mut h2 = server.h2().await;
        reset_panicking_stream(server, &mut h2).await;
        assert_eq!(
            h2.get("/").await.body,
            HELLO,
            "GET / on the same connection, which must stay usable"
        );
    })
    .await;
}

async fn hundred_panics_leak_nothing(subject: AnySubject) {
    with_bystander(&subject, async |server| {
        for _ in 0..25 {
            for path in ["/panic", "/panic-call"] {
                assert_eq!(server.exchange(&get(path)).await.status, 500);
            }
            assert_truncated(server, "/panic-body").await;
            let mut client = server.client().await;
            client.send(get("/panic-drop")).await;
            server.state.arrived().await;
            drop(client);
            server.state.dropped().await;
        }
    })
    .await;
}
