//! Failing apps: the request gets a response if that is still possible, and no other request is
//! affected.
use crate::{
    app::{HELLO, state::Fault},
    client::{
        get,
        h2::{H2, request, whole},
    },
    harness::{case::cases, running::Running, site::Site},
};
use anyport_core::HttpOptions;
use http::StatusCode;
use std::io;

cases![
    an_error_is_a_500,
    an_error_has_the_status_it_was_given,
    a_status_that_is_no_error_is_a_500,
    a_service_that_is_not_ready_is_a_503,
    a_panic_in_call_is_a_500,
    a_panic_in_the_future_is_a_500,
    a_panic_in_poll_ready_is_a_500,
    a_panic_in_a_clone_for_a_request_is_a_500,
    a_panic_in_a_clone_for_a_connection_costs_that_connection,
    a_panic_in_a_status_function_is_a_500,
    a_panic_in_a_body_cuts_the_response_short,
    an_error_in_a_body_cuts_the_response_short,
    a_panic_in_drop_is_contained,
    a_panic_in_the_drop_of_a_body_is_contained,
    h2_streams_fail_alone,
    h2_streams_that_wait_outlive_the_panics_of_others,
    h2_a_panic_in_a_body_resets_its_stream,
    h2_a_panic_in_drop_is_contained,
    a_hundred_panics_leave_nothing_behind,
];

/// A bystander's connection on each worker that it happens to be on, from before to after.
async fn unnoticed(site: &Site, fails: impl AsyncFnOnce(&Running)) {
    unnoticed_by(site.serve(), fails).await;
}

async fn unnoticed_by(server: Running, fails: impl AsyncFnOnce(&Running)) {
    let mut bystander = server.client().await;
    assert_eq!(bystander.get("/").await.body, HELLO);
    fails(&server).await;
    assert_eq!(bystander.get("/").await.body, HELLO, "others go on");
    server.settles(1).await;
    drop(bystander);
    server.settles(0).await;
    server.serves_others().await;
}

/// The request is answered so; then its connection goes on, or closes as it said.
async fn answered(server: &Running, path: &str, fault: Option<Fault>, status: u16) {
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.status, 200);
    if let Some(fault) = fault {
        server.state.arm(fault);
    }
    let response = client.get(path).await;
    assert_eq!(response.status, status);
    if response.closes() {
        client.closed().await;
    } else {
        assert_eq!(client.get("/").await.status, 200);
    }
}

async fn an_error_is_a_500(site: Site) {
    unnoticed(&site, async |server| {
        answered(server, "/error", None, 500).await
    })
    .await;
}

async fn an_error_has_the_status_it_was_given(site: Site) {
    let http = HttpOptions::default().with_error_status(|error| {
        assert_eq!(error.to_string(), "a mistake");
        StatusCode::IM_A_TEAPOT
    });
    let server = site.serve_as(|server| server.http(http));
    unnoticed_by(server, async |server| {
        answered(server, "/error", None, 418).await;
        assert_eq!(server.h2().await.get("/error").await.status, 418);
        answered(server, "/panic", None, 500).await;
    })
    .await;
}

/// An interim status would leave the client waiting, others would say that all is well.
async fn a_status_that_is_no_error_is_a_500(site: Site) {
    for status in [100, 101, 103, 200, 204, 301, 304] {
        let status = StatusCode::from_u16(status).unwrap();
        let http = HttpOptions::default().with_error_status(move |_| status);
        let server = site.serve_as(|server| server.http(http));
        let (h1, mut h2) = (server.ask(&get("/error")).await, server.h2().await);
        assert_eq!(h1.status, 500, "instead of {status}");
        assert_eq!(h2.get("/error").await.status, 500, "instead of {status}");
    }
}

async fn a_service_that_is_not_ready_is_a_503(site: Site) {
    unnoticed(&site, async |server| {
        answered(server, "/", Some(Fault::NotReady), 503).await
    })
    .await;
}

async fn a_panic_in_call_is_a_500(site: Site) {
    unnoticed(&site, async |server| {
        answered(server, "/panic-call", None, 500).await
    })
    .await;
}

async fn a_panic_in_the_future_is_a_500(site: Site) {
    unnoticed(&site, async |server| {
        answered(server, "/panic", None, 500).await
    })
    .await;
}

async fn a_panic_in_poll_ready_is_a_500(site: Site) {
    unnoticed(&site, async |server| {
        answered(server, "/", Some(Fault::PanicInPollReady), 500).await
    })
    .await;
}

async fn a_panic_in_a_clone_for_a_request_is_a_500(site: Site) {
    unnoticed(&site, async |server| {
        answered(server, "/", Some(Fault::PanicInClone), 500).await
    })
    .await;
}

async fn a_panic_in_a_clone_for_a_connection_costs_that_connection(site: Site) {
    unnoticed(&site, async |server| {
        server.state.arm(Fault::PanicInClone);
        let mut client = server.knocking().await;
        client.send(get("/")).await;
        match client.try_response().await {
            // A service may also be cloned late.
            Ok(response) => assert_eq!(response.status, 500),
            Err(_) => client.closed().await,
        }
    })
    .await;
}

async fn a_panic_in_a_status_function_is_a_500(site: Site) {
    let http =
        HttpOptions::default().with_error_status(|_| panic!("deliberate: in the status function"));
    let server = site.serve_as(|server| server.http(http));
    unnoticed_by(server, async |server| {
        answered(server, "/error", None, 500).await
    })
    .await;
}

/// What was sent stays, what's missing shows, and the connection ends.
async fn cut_short(server: &Running, path: &str) {
    let mut client = server.client().await;
    client.send(get(path)).await;
    match client.try_response().await {
        Ok(response) => panic!("a whole response: {response:?}"),
        Err(e) => assert!(
            [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&e.kind()),
            "{e}"
        ),
    }
    client.closed().await;
}

async fn a_panic_in_a_body_cuts_the_response_short(site: Site) {
    unnoticed(&site, async |server| cut_short(server, "/panic-body").await).await;
}

async fn an_error_in_a_body_cuts_the_response_short(site: Site) {
    unnoticed(&site, async |server| cut_short(server, "/error-body").await).await;
}

async fn a_panic_in_drop_is_contained(site: Site) {
    unnoticed(&site, async |server| {
        let mut client = server.client().await;
        client.send(get("/panic-drop")).await;
        server.state.arrived().await;
        drop(client);
        server.state.dropped().await;
    })
    .await;
}

async fn a_panic_in_the_drop_of_a_body_is_contained(site: Site) {
    unnoticed(&site, async |server| {
        let mut client = server.client().await;
        client.send(get("/panic-body-drop")).await;
        // Whole or cut short, but over.
        let whole = client
            .try_response()
            .await
            .is_ok_and(|response| !response.closes());
        if whole {
            drop(client);
        } else {
            client.closed().await;
        }
        let mut h2 = server.h2().await;
        let _ = h2.try_get("/panic-body-drop").await;
        assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
    })
    .await;
}

async fn h2_streams_fail_alone(site: Site) {
    unnoticed(&site, async |server| {
        let mut h2 = server.h2().await;
        for _ in 0..3 {
            for path in ["/error", "/panic-call", "/panic"] {
                assert_eq!(h2.get(path).await.status, 500, "{path}");
            }
            for (fault, status) in [
                (Fault::NotReady, 503),
                (Fault::PanicInPollReady, 500),
                (Fault::PanicInClone, 500),
            ] {
                server.state.arm(fault);
                assert_eq!(h2.get("/").await.status, status, "{fault:?}");
            }
            assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
        }
    })
    .await;
}

async fn h2_streams_that_wait_outlive_the_panics_of_others(site: Site) {
    unnoticed(&site, async |server| {
        let mut h2 = server.h2().await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let (response, _) = h2.begin(request("/slow"), true).await.unwrap();
            server.state.arrived().await;
            waiting.push(response);
        }
        for path in ["/panic-call", "/panic"] {
            assert_eq!(h2.get(path).await.status, 500, "{path}");
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

async fn h2_a_panic_in_a_body_resets_its_stream(site: Site) {
    unnoticed(&site, async |server| {
        let mut h2 = server.h2().await;
        for path in ["/panic-body", "/error-body"] {
            let error = h2
                .try_get(path)
                .await
                .expect_err("a stream that's cut short");
            assert!(error.is_reset(), "{path}: {error}");
            assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
        }
    })
    .await;
}

/// A stream of this connection panics as it's dropped, by a reset of the stream.
async fn reset_panicking_stream(server: &Running, h2: &mut H2) {
    let (response, mut send) = h2.begin(request("/panic-drop"), false).await.unwrap();
    server.state.arrived().await;
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    server.state.dropped().await;
}

async fn h2_a_panic_in_drop_is_contained(site: Site) {
    unnoticed(&site, async |server| {
        let mut h2 = server.h2().await;
        reset_panicking_stream(server, &mut h2).await;
        assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
    })
    .await;
}

async fn a_hundred_panics_leave_nothing_behind(site: Site) {
    unnoticed(&site, async |server| {
        for _ in 0..25 {
            for path in ["/panic", "/panic-call"] {
                assert_eq!(server.ask(&get(path)).await.status, 500);
            }
            cut_short(server, "/panic-body").await;
            let mut client = server.client().await;
            client.send(get("/panic-drop")).await;
            server.state.arrived().await;
            drop(client);
            server.state.dropped().await;
        }
    })
    .await;
}
