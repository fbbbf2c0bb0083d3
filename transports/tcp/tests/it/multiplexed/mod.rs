//! A connection that is not one byte stream is served by the same server as TCP's.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod transport;

use crate::scene::{GRACE, PATIENCE};
use anyport_core::{Body, BoxError, Event, Handle, Observer, Server, Timeouts, serve_with};
use anyport_tcp::Tcp;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use std::{
    future::{Future, pending},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Barrier, Notify, Semaphore},
    time::timeout,
};
use transport::{Client, Multiplexed};

/// What the app waits for.
struct Gates {
    opened: Semaphore,
    asked: Notify,
}

async fn answer(
    gates: Arc<Gates>,
    both: Arc<Barrier>,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let text = match request.uri().path() {
        "/both" => {
            both.wait().await;
            "together".to_owned()
        }
        "/gate" => {
            gates.asked.notify_one();
            gates.opened.acquire().await?.forget();
            "opened".to_owned()
        }
        "/panic" => panic!("as the test wants"),
        "/never" => {
            gates.asked.notify_one();
            pending().await
        }
        "/echo" => String::from_utf8(request.into_body().collect().await?.to_bytes().into())?,
        _ => "hello".to_owned(),
    };
    Ok(Response::new(text.into()))
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Observer for Seen {
    fn on(&self, event: &Event<'_>) {
        let what = match event {
            Event::Established { info } => format!("established {}", info.peer()),
            Event::Panicked { message, .. } => format!("panicked: {message}"),
            Event::Closed { aborted, .. } => format!("closed, aborted: {aborted}"),
            _ => return,
        };
        self.0.lock().unwrap().push(what);
    }
}

struct Scene {
    handle: Handle,
    client: Client,
    gates: Arc<Gates>,
    seen: Seen,
}

/// Serves the made-up transport and TCP, with one app.
fn scene(configure: impl FnOnce(Server) -> Server) -> Scene {
    let (multiplexed, dialer) = Multiplexed::new();
    let (gates, both, seen) = (
        Gates {
            opened: Semaphore::new(0),
            asked: Notify::new(),
        },
        Arc::new(Barrier::new(2)),
        Seen::default(),
    );
    let gates = Arc::new(gates);
    let app = tower::service_fn({
        let gates = Arc::clone(&gates);
        move |request| answer(Arc::clone(&gates), Arc::clone(&both), request)
    });
    let server = serve_with(multiplexed, app.clone()).and(Tcp::bind("127.0.0.1:0"), app);
    let handle = configure(server.observer(seen.clone())).start().unwrap();
    Scene {
        handle,
        client: dialer.connect(),
        gates,
        seen,
    }
}

fn get(path: &str) -> Request<Full<Bytes>> {
    let request = Request::get(format!("https://test{path}")).version(Version::HTTP_3);
    request.body(Full::default()).unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap()
}

async fn over_tcp(handle: &Handle, path: &str) -> String {
    let addr = handle.endpoints()[1].socket_addr().unwrap();
    let mut client = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn requests_of_one_connection_are_answered_side_by_side() {
    let scene = scene(|server| server);
    let both = (
        scene.client.send(get("/both")),
        scene.client.send(get("/both")),
    );
    let (first, second) = soon(async { (both.0.await.unwrap(), both.1.await.unwrap()) }).await;
    assert_eq!(
        (first.body(), second.body()),
        (&"together".into(), &"together".into())
    );
    assert_eq!(scene.handle.connections(), 1);
    assert!(soon(over_tcp(&scene.handle, "/")).await.ends_with("hello"));
    let upload = Request::post("https://test/echo").version(Version::HTTP_3);
    let upload = scene.client.send(upload.body(Full::from("bytes")).unwrap());
    assert_eq!(soon(upload).await.unwrap().body(), "bytes");
}

#[tokio::test]
async fn a_panic_or_a_bad_request_ends_its_stream_only() {
    let scene = scene(|server| server);
    let panicked = soon(scene.client.send(get("/panic"))).await.unwrap();
    assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let hostless = Request::get("/")
        .version(Version::HTTP_3)
        .body(Full::default())
        .unwrap();
    let refused = soon(scene.client.send(hostless)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        soon(scene.client.send(get("/"))).await.unwrap().body(),
        "hello"
    );
    let seen = scene.seen.0.lock().unwrap();
    assert_eq!(*seen, ["established client", "panicked: as the test wants"]);
}

#[tokio::test]
async fn an_app_that_is_too_slow_is_answered_for() {
    let scene = scene(|server| {
        server.timeouts(Timeouts::default().with_request(Duration::from_millis(20)))
    });
    let late = soon(scene.client.send(get("/never"))).await.unwrap();
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn one_drain_waits_for_the_requests_of_both_transports() {
    let scene = scene(|server| server);
    let open = scene.client.send(get("/gate"));
    soon(scene.gates.asked.notified()).await;
    let tcp = tokio::spawn({
        let handle = scene.handle.clone();
        async move { over_tcp(&handle, "/gate").await }
    });
    soon(scene.gates.asked.notified()).await;
    let drained = scene.handle.shutdown(GRACE);
    assert_eq!(scene.handle.connections(), 2);
    scene.gates.opened.add_permits(2);
    assert_eq!(soon(open).await.unwrap().body(), "opened");
    assert!(soon(tcp).await.unwrap().ends_with("opened"));
    let report = soon(drained).await.unwrap();
    assert_eq!((report.completed, report.aborted), (2, 0));
}

#[tokio::test]
async fn the_end_of_the_grace_aborts_a_request() {
    let scene = scene(|server| server);
    let never = scene.client.send(get("/never"));
    soon(scene.gates.asked.notified()).await;
    let report = soon(scene.handle.shutdown(Duration::from_millis(20)))
        .await
        .unwrap();
    assert_eq!((report.completed, report.aborted), (0, 1));
    assert!(soon(never).await.is_err());
    soon(scene.client.closed()).await;
}
