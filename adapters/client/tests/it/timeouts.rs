//! Timeouts on a paused clock, with a server in the same process.
use crate::kit::{get, text};
use anyport_client::{Builder, Client, ErrorKind, Fixed};
use anyport_core::{Body, serve_with};
use anyport_memory::Memory;
use anyport_testkit::requirements::Tests;
use bytes::Bytes;
use futures_util::{
    future::{join, join3},
    stream,
};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use std::{convert::Infallible, future::Future, time::Duration};
use tokio::time::{Instant, sleep};
use tower::service_fn;

/// How long the server takes for a head, and for each part of a body.
const STEP: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn tests(tests: Tests) -> Tests {
    tests
        .always("http1_requests_have_deadlines_of_their_own", || {
            on_a_paused_clock(requests_have_deadlines_of_their_own(false));
        })
        .always("http2_requests_have_deadlines_of_their_own", || {
            on_a_paused_clock(requests_have_deadlines_of_their_own(true));
        })
}

fn on_a_paused_clock(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

/// Answers `/slow` after a step, and `/parts` with a body of five steps that never ends.
async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    sleep(STEP).await;
    let parts = stream::unfold(0, async |part| {
        match part < 5 {
            true => sleep(STEP).await,
            false => std::future::pending().await,
        }
        Some((
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"part"))),
            part + 1,
        ))
    });
    Ok(Response::new(match request.uri().path() {
        "/slow" => Body::from("ok"),
        "/parts" => Body::new(StreamBody::new(Box::pin(parts))),
        _ => std::future::pending().await,
    }))
}

/// The timer is armed for the first deadline, and the others differ.
async fn requests_have_deadlines_of_their_own(is_http2: bool) {
    let memory = Memory::new();
    let connector = memory.connector();
    let endpoint = connector.endpoint().clone();
    let _server = serve_with(memory, service_fn(answer)).start().unwrap();
    let builder = Builder::new(Fixed::new(connector, endpoint)).head_timeout(LIMIT);
    let builder = match is_http2 {
        true => builder.http2_only(),
        false => builder,
    };
    let client: Client<_> = builder.body_timeout(LIMIT).build();
    let start = Instant::now();
    let slow = async || {
        let ok = text(&client, get("http://any.test/slow")).await;
        assert_eq!(ok.unwrap(), "ok");
    };
    let late = async |path: &str, kind, seconds| {
        let uri = format!("http://any.test{path}");
        let error = text(&client, get(&uri)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(start.elapsed().as_secs(), seconds, "{path}");
    };
    for _ in 0..3 {
        slow().await;
    }
    late("/never", ErrorKind::HeadTimeout, 60 + 30).await;
    assert_eq!(client.counts().opened, 1);
    late("/parts", ErrorKind::BodyTimeout, 90 + 20 + 5 * 20 + 30).await;
    // Several at once.
    let in_turn = async {
        slow().await;
        late("/never", ErrorKind::HeadTimeout, 240 + 20 + 30).await;
    };
    let second = async {
        sleep(Duration::from_secs(5)).await;
        late("/never", ErrorKind::HeadTimeout, 240 + 5 + 30).await;
    };
    join3(
        in_turn,
        second,
        late("/never", ErrorKind::HeadTimeout, 240 + 30),
    )
    .await;
    // A dropped request leaves its deadline to nobody.
    let dropped = tokio::time::timeout(STEP / 2, text(&client, get("http://any.test/never")));
    let (dropped, ()) = join(dropped, slow()).await;
    assert!(dropped.is_err());
    slow().await;
    assert_eq!(start.elapsed().as_secs(), 290 + 2 * 20);
}
