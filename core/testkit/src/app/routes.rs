//! The routes of the app, one for each behaviour.
use super::{
    BIG, Boxed, CHUNKS, DELIBERATE, HELLO, RouteResult, body::TestBody, cross_thread, response,
    script, script::HandlerThread, state::State,
};
use anyport_core::{Body, ConnInfo, error::BoxError, protocol::Upgraded, runtime::spawn};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use std::{
    future::{pending, poll_fn},
    sync::Arc,
    task::Poll,
    thread,
    time::Duration,
};
use tokio::{runtime::Builder, sync::oneshot, time::sleep};

/// Handles one request.
pub(super) type Route = fn(&Arc<State>, Request<Body>) -> Boxed<RouteResult>;

/// Handlers by path; a `*` at the start or end of a pattern matches any prefix or suffix.
const ROUTES: &[(&str, Route)] = &[
    ("/", |_, _| ready(hello())),
    ("/echo", |_, request| {
        ready(Response::new(request.into_body()))
    }),
    ("/len", |_, request| Box::pin(len(request))),
    ("/arrives", |state, request| {
        state.signal_arrival();
        Box::pin(len(request))
    }),
    ("/slow", |state, _| Box::pin(slow(Arc::clone(state)))),
    ("/slow-len", |state, request| {
        Box::pin(slow_len(Arc::clone(state), request))
    }),
    ("/host", |_, request| {
        ready(Response::new(host(&request).into()))
    }),
    ("/info", |_, request| {
        ready(Response::new(info(&request).into()))
    }),
    ("/big", |_, _| ready(Response::new(vec![0; BIG].into()))),
    ("/stream", |_, _| {
        ready(Response::new(Body::new(TestBody::Endless)))
    }),
    ("/stalls", |state, _| ready(stalls(state))),
    ("/accepted", accepted),
    ("/background", background),
    ("/keep", keep),
    ("/spin", |state, _| Box::pin(spin(Arc::clone(state)))),
    ("/timer", |_, _| Box::pin(timer())),
    ("/woken", |state, _| Box::pin(woken(Arc::clone(state)))),
    ("/panic-spawned", panic_spawned),
    ("/len-on-thread", |_, request| {
        Box::pin(len_on_thread(request))
    }),
    ("/hold", hold),
    ("/forever", |state, _| {
        Box::pin(forever(Arc::clone(state), false))
    }),
    ("/upgrade", switch_protocols),
    ("/upgrade-info", switch_protocols),
    ("/upgrade-timeout", switch_protocols),
    ("/refuse-upgrade*", refuse_upgrade),
    ("/thread/*", switch_protocols),
    ("/fails-later", |state, _| {
        ready(response::fails_later(Arc::clone(state), false))
    }),
    ("/panics-later", |state, _| {
        ready(response::fails_later(Arc::clone(state), true))
    }),
    ("/error", |_, _| Box::pin(async { Err("a mistake".into()) })),
    ("/error-body", |_, _| {
        ready(Response::new(Body::new(TestBody::failing(false))))
    }),
    ("/panic-call", |_, _| panic!("{DELIBERATE} in call")),
    ("/panic", |_, _| {
        Box::pin(async { panic!("{DELIBERATE} in the future") })
    }),
    ("/panic-body", |_, _| {
        ready(Response::new(Body::new(TestBody::failing(true))))
    }),
    ("/panic-body-drop", |_, _| {
        ready(Response::new(Body::new(TestBody::Panicking(false))))
    }),
    ("/panic-drop", |state, _| {
        Box::pin(forever(Arc::clone(state), true))
    }),
    ("/response/*", |_, request| {
        ready(response::custom(request.uri().path()))
    }),
    ("/block/*", |state, request| {
        Box::pin(block(Arc::clone(state), number(&request)))
    }),
    ("/bytes/*", |_, request| {
        ready(Response::new(script::pattern(number(&request)).into()))
    }),
    ("/chunks/*", |_, request| ready(chunks(number(&request)))),
];

pub(super) fn find(path: &str) -> Option<Route> {
    let fits = |pattern: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => path.ends_with(end),
        (None, Some(begin)) => path.starts_with(begin),
        (None, None) => path == pattern,
    };
    let found = ROUTES.iter().find(|(pattern, _)| fits(pattern));
    found.map(|(_, route)| *route)
}

fn ready(response: Response<Body>) -> Boxed<RouteResult> {
    Box::pin(std::future::ready(Ok(response)))
}

pub(super) fn not_found(_: &Arc<State>, _: Request<Body>) -> Boxed<RouteResult> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    ready(response)
}

/// CONNECT opens a tunnel, unless the target is `refuse-upgrade`.
pub(super) fn upgrade(state: &Arc<State>, mut request: Request<Body>) -> Boxed<RouteResult> {
    if request.uri().to_string().contains("refuse-upgrade") {
        return refuse_upgrade(state, request);
    }
    serve_upgraded(state, &mut request);
    ready(Response::new(Body::empty()))
}

fn switch_protocols(state: &Arc<State>, mut request: Request<Body>) -> Boxed<RouteResult> {
    serve_upgraded(state, &mut request);
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "echo")
        .body(Body::empty());
    Box::pin(async { Ok(response?) })
}

/// Takes the future of the upgrade, and refuses the upgrade: by a response, by a panic, or by a
/// response with an endless body. Signals that the future fails.
fn refuse_upgrade(state: &Arc<State>, mut request: Request<Body>) -> Boxed<RouteResult> {
    let (upgraded, state) = (Upgraded::on(&mut request), Arc::clone(state));
    in_background(async move {
        if upgraded.await.is_err() {
            state.signal_arrival();
        }
    });
    let mut response = match request.uri().path() {
        "/refuse-upgrade-by-panic" => {
            return Box::pin(async { panic!("{DELIBERATE} in the future") });
        }
        "/refuse-upgrade-endlessly" => Response::new(Body::new(TestBody::Endless)),
        _ => hello(),
    };
    *response.status_mut() = StatusCode::FORBIDDEN;
    ready(response)
}

/// Echoes on the upgraded connection or stream, or moves it to another thread.
fn serve_upgraded(state: &Arc<State>, request: &mut Request<Body>) {
    let path = request.uri().path().to_owned();
    let script: Option<fn(Upgraded) -> Boxed<()>> = match &*path {
        "/upgrade-info" => Some(|upgraded| Box::pin(script::echo_with_info(upgraded))),
        "/upgrade-timeout" => {
            Some(|upgraded| Box::pin(script::report_deadline_and_drain(upgraded)))
        }
        _ => None,
    };
    if let Some(script) = script {
        let (upgraded, thread) = (Upgraded::on(request), state.thread);
        return in_background(async move {
            let Ok(upgraded) = upgraded.await else { return };
            match thread {
                HandlerThread::Worker => script(upgraded).await,
                HandlerThread::Other => cross_thread::run(script(upgraded)).await,
            }
        });
    }
    let (upgrade, state) = (hyper::upgrade::on(request), Arc::clone(state));
    in_background(async move {
        let Ok(upgraded) = upgrade.await else { return };
        match &*path {
            path if path.starts_with("/thread/") => cross_thread::take(path, upgraded, &state),
            _ => match state.thread {
                HandlerThread::Worker => script::echo(TokioIo::new(upgraded)).await,
                HandlerThread::Other => {
                    cross_thread::run(script::echo(TokioIo::new(upgraded))).await
                }
            },
        }
    });
}

async fn len(request: Request<Body>) -> RouteResult {
    let n = length(request.into_body()).await?;
    Ok(Response::new(n.to_string().into()))
}

async fn slow(state: Arc<State>) -> RouteResult {
    let _pending = state.pending_request(false);
    state.released.acquire().await?.forget();
    Ok(hello())
}

/// Responds like `slow`, after it has read the whole body.
async fn slow_len(state: Arc<State>, request: Request<Body>) -> RouteResult {
    let n = length(request.into_body()).await?;
    slow(state).await?;
    Ok(Response::new(n.to_string().into()))
}

async fn forever(state: Arc<State>, panics: bool) -> RouteResult {
    let _pending = state.pending_request(panics);
    pending().await
}

/// Holds the request, and never reads its body.
fn hold(state: &Arc<State>, request: Request<Body>) -> Boxed<RouteResult> {
    let state = Arc::clone(state);
    Box::pin(async move {
        let _held = (state.pending_request(false), request);
        pending().await
    })
}

/// Responds at once, and reads the body in the background.
fn accepted(state: &Arc<State>, request: Request<Body>) -> Boxed<RouteResult> {
    in_background(read_on(request.into_body(), Arc::clone(state)));
    ready(hello())
}

/// Responds at once, and holds the request in the background until the test releases it.
fn background(state: &Arc<State>, request: Request<Body>) -> Boxed<RouteResult> {
    let state = Arc::clone(state);
    in_background(async move {
        let _held = (state.pending_request(false), request);
        state.released.acquire().await.unwrap().forget();
    });
    ready(hello())
}

fn keep(state: &Arc<State>, request: Request<Body>) -> Boxed<RouteResult> {
    state.kept.lock().unwrap().push(request.into_body());
    ready(hello())
}

/// Wakes itself on every poll.
async fn spin(state: Arc<State>) -> RouteResult {
    let _pending = state.pending_request(false);
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

async fn timer() -> RouteResult {
    sleep(Duration::from_millis(5)).await;
    Ok(hello())
}

/// Spawns a task that another thread wakes. On a worker with a thread of its own, the task must
/// resume on that thread.
async fn woken(state: Arc<State>) -> RouteResult {
    let here = thread::current();
    in_background(async move {
        let (wake, is_woken) = oneshot::channel();
        thread::spawn(move || wake.send(()));
        is_woken.await.unwrap();
        sleep(Duration::from_millis(1)).await;
        let is_own = here.name().is_some_and(|name| name.starts_with("anyport-"));
        assert!(
            !is_own || thread::current().id() == here.id(),
            "expected the task to resume on the thread of its worker"
        );
        state.signal_arrival();
    });
    Ok(hello())
}

fn panic_spawned(_: &Arc<State>, _: Request<Body>) -> Boxed<RouteResult> {
    in_background(async { panic!("{DELIBERATE} in a spawned task") });
    panic!("{DELIBERATE} in call")
}

/// Reads the body on a thread that is not a worker. Responds with 408 if the body does not arrive.
async fn len_on_thread(request: Request<Body>) -> RouteResult {
    let (send, wait) = oneshot::channel();
    let body = request.into_body();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let _ = send.send(runtime.block_on(length(body)).map_err(|e| e.to_string()));
    });
    Ok(match wait.await? {
        Ok(n) => Response::new(n.to_string().into()),
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            response
        }
    })
}

/// Blocks the thread of its worker for the number of milliseconds in the path.
async fn block(state: Arc<State>, millis: usize) -> RouteResult {
    state.signal_arrival();
    thread::sleep(Duration::from_millis(millis as u64));
    Ok(hello())
}

fn stalls(state: &Arc<State>) -> Response<Body> {
    let pending = state.pending_request(false);
    Response::new(Body::new(TestBody::Stalling {
        begun: false,
        _pending: pending,
    }))
}

fn chunks(each: usize) -> Response<Body> {
    let left = Bytes::from(script::pattern(CHUNKS * each));
    Response::new(Body::new(TestBody::Chunks { left, each }))
}

/// Spawns on the current worker, on any runtime.
fn in_background(future: impl Future<Output = ()> + Send + 'static) {
    spawn(future).expect("an app is polled on a worker");
}

fn hello() -> Response<Body> {
    let mut response = Response::new(Body::from(HELLO));
    let text = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// The host that the app sees: the `Host` header, or the authority of the target.
fn host(request: &Request<Body>) -> String {
    let header = request.headers().get(header::HOST);
    match (header, request.uri().authority()) {
        (Some(host), _) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
        (None, Some(authority)) => authority.to_string(),
        (None, None) => "none".to_owned(),
    }
}

fn info(request: &Request<Body>) -> String {
    match request.extensions().get::<ConnInfo>() {
        Some(info) => format!(
            "{} {} {} {}",
            info.id(),
            info.worker(),
            info.local(),
            info.peer()
        ),
        None => "none".to_owned(),
    }
}

/// The number at the end of the path.
fn number(request: &Request<Body>) -> usize {
    let last = request.uri().path().rsplit('/').next();
    last.and_then(|n| n.parse().ok()).unwrap_or_default()
}

async fn length(mut body: Body) -> Result<usize, BoxError> {
    let mut n = 0;
    while let Some(frame) = body.frame().await {
        n += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(n)
}

async fn read_on(mut body: Body, state: Arc<State>) {
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        state.uploaded.add_permits(bytes);
    }
    state.dropped.add_permits(1);
}
