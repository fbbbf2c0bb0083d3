//! Connections that carry many requests instead of one byte stream are served by the same server as
//! TCP.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod transport;

use crate::fixture::{GRACE, TIMEOUT};
use anyport_core::{
    Body, Handle, Server, Timeouts,
    error::BoxError,
    observe::{Event, Observer},
    serve_with,
};
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

/// The signals between the app and the test.
struct Gate {
    opened: Semaphore,
    reached: Notify,
}

async fn respond(
    gate: Arc<Gate>,
    both: Arc<Barrier>,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let text = match request.uri().path() {
        "/both" => {
            both.wait().await;
            "together".to_owned()
        }
        "/gate" => {
            gate.reached.notify_one();
            gate.opened.acquire().await?.forget();
            "opened".to_owned()
        }
        "/panic" => panic!("as the test wants"),
        "/never" => {
            gate.reached.notify_one();
            pending().await
        }
        "/echo" => String::from_utf8(request.into_body().collect().await?.to_bytes().into())?,
        _ => "hello".to_owned(),
    };
    Ok(Response::new(text.into()))
}

#[derive(Clone, Default)]
struct EventLog(Arc<Mutex<Vec<String>>>);

impl Observer for EventLog {
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

struct Fixture {
    handle: Handle,
    client: Client,
    gate: Arc<Gate>,
    events: EventLog,
}

/// Serves the multiplexed transport and TCP with one app.
fn serve_both(configure: impl FnOnce(Server) -> Server) -> Fixture {
    let (multiplexed, dialer) = Multiplexed::new();
    let (gate, both, events) = (
        Gate {
            opened: Semaphore::new(0),
            reached: Notify::new(),
        },
        Arc::new(Barrier::new(2)),
        EventLog::default(),
    );
    let gate = Arc::new(gate);
    let app = tower::service_fn({
        let gate = Arc::clone(&gate);
        move |request| respond(Arc::clone(&gate), Arc::clone(&both), request)
    });
    let server = serve_with(multiplexed, app.clone()).and(Tcp::bind("127.0.0.1:0"), app);
    let handle = configure(server.observer(events.clone())).start().unwrap();
    Fixture {
        handle,
        client: dialer.connect(),
        gate,
        events,
    }
}

fn get(path: &str) -> Request<Full<Bytes>> {
    let request = Request::get(format!("https://test{path}")).version(Version::HTTP_3);
    request.body(Full::default()).unwrap()
}

async fn within_timeout<T>(future: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, future).await.unwrap()
}

async fn get_over_tcp(handle: &Handle, path: &str) -> String {
    let addr = handle.endpoints()[1].socket_addr().unwrap();
    let mut client = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn requests_of_one_connection_run_concurrently() {
    let fixture = serve_both(|server| server);
    let both = (
        fixture.client.send(get("/both")),
        fixture.client.send(get("/both")),
    );
    let (first, second) =
        within_timeout(async { (both.0.await.unwrap(), both.1.await.unwrap()) }).await;
    assert_eq!(
        (first.body(), second.body()),
        (&"together".into(), &"together".into())
    );
    assert_eq!(fixture.handle.connections(), 1);
    assert!(
        within_timeout(get_over_tcp(&fixture.handle, "/"))
            .await
            .ends_with("hello")
    );
    let upload = Request::post("https://test/echo").version(Version::HTTP_3);
    let upload = fixture
        .client
        .send(upload.body(Full::from("bytes")).unwrap());
    assert_eq!(within_timeout(upload).await.unwrap().body(), "bytes");
}

#[tokio::test]
async fn panic_or_bad_request_ends_only_its_stream() {
    let fixture = serve_both(|server| server);
    let panicked = within_timeout(fixture.client.send(get("/panic")))
        .await
        .unwrap();
    assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let hostless = Request::get("/")
        .version(Version::HTTP_3)
        .body(Full::default())
        .unwrap();
    let refused = within_timeout(fixture.client.send(hostless)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        within_timeout(fixture.client.send(get("/")))
            .await
            .unwrap()
            .body(),
        "hello"
    );
    let events = fixture.events.0.lock().unwrap();
    assert_eq!(
        *events,
        ["established client", "panicked: as the test wants"]
    );
}

#[tokio::test]
async fn request_timeout_responds_for_the_app() {
    let fixture = serve_both(|server| {
        server.timeouts(Timeouts::default().with_request(Duration::from_millis(20)))
    });
    let late = within_timeout(fixture.client.send(get("/never")))
        .await
        .unwrap();
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn drain_waits_for_the_requests_of_both_transports() {
    let fixture = serve_both(|server| server);
    let open = fixture.client.send(get("/gate"));
    within_timeout(fixture.gate.reached.notified()).await;
    let tcp = tokio::spawn({
        let handle = fixture.handle.clone();
        async move { get_over_tcp(&handle, "/gate").await }
    });
    within_timeout(fixture.gate.reached.notified()).await;
    let drained = fixture.handle.shutdown(GRACE);
    assert_eq!(fixture.handle.connections(), 2);
    fixture.gate.opened.add_permits(2);
    assert_eq!(within_timeout(open).await.unwrap().body(), "opened");
    assert!(within_timeout(tcp).await.unwrap().ends_with("opened"));
    let report = within_timeout(drained).await.unwrap();
    assert_eq!((report.completed, report.aborted), (2, 0));
}

#[tokio::test]
async fn end_of_the_grace_period_aborts_a_request() {
    let fixture = serve_both(|server| server);
    let never = fixture.client.send(get("/never"));
    within_timeout(fixture.gate.reached.notified()).await;
    let report = within_timeout(fixture.handle.shutdown(Duration::from_millis(20)))
        .await
        .unwrap();
    assert_eq!((report.completed, report.aborted), (0, 1));
    assert!(within_timeout(never).await.is_err());
    within_timeout(fixture.client.closed()).await;
}
