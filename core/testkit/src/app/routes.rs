//! The routes of the app.
use super::{
    Answer, BIG, Boxed, CHUNKS, DELIBERATE, HELLO, answer, body::Stream, cross_thread, script,
    script::Place, state::State,
};
use anyport_core::{Body, BoxError, ConnInfo, Upgraded, spawn};
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

/// Answers a request.
pub(super) type Route = fn(&Arc<State>, Request<Body>) -> Boxed<Answer>;

/// What a path, or what its begin or its end, is answered with.
const ROUTES: &[(&str, Route)] = &[
    ("/", |_, _| ready(hello())),
    ("/echo", |_, request| {
        ready(Response::new(request.into_body()))
    }),
    ("/len", |_, request| Box::pin(len(request))),
    ("/arrives", |state, request| {
        state.arrives();
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
        ready(Response::new(Body::new(Stream::Endless)))
    }),
    ("/stalls", |state, _| ready(stalls(state))),
    ("/accepted", accepted),
    ("/background", background),
    ("/keep", keep),
    ("/spin", |state, _| Box::pin(spin(Arc::clone(state)))),
    ("/timer", |_, _| Box::pin(timer())),
    ("/woken", |state, _| Box::pin(woken(Arc::clone(state)))),
    ("/panic-spawned", panic_spawned),
    ("/len-elsewhere", |_, request| {
        Box::pin(len_elsewhere(request))
    }),
    ("/hold", hold),
    ("/forever", |state, _| {
        Box::pin(forever(Arc::clone(state), false))
    }),
    ("/upgrade", switch),
    ("/facts", switch),
    ("/times", switch),
    ("/declines*", declines),
    ("*-abroad", switch),
    ("/fails-later", |state, _| {
        ready(answer::fails_later(Arc::clone(state), false))
    }),
    ("/panics-later", |state, _| {
        ready(answer::fails_later(Arc::clone(state), true))
    }),
    ("/error", |_, _| Box::pin(async { Err("a mistake".into()) })),
    ("/error-body", |_, _| {
        ready(Response::new(Body::new(Stream::failing(false))))
    }),
    ("/panic-call", |_, _| panic!("{DELIBERATE} in call")),
    ("/panic", |_, _| {
        Box::pin(async { panic!("{DELIBERATE} in the future") })
    }),
    ("/panic-body", |_, _| {
        ready(Response::new(Body::new(Stream::failing(true))))
    }),
    ("/panic-body-drop", |_, _| {
        ready(Response::new(Body::new(Stream::Panicking(false))))
    }),
    ("/panic-drop", |state, _| {
        Box::pin(forever(Arc::clone(state), true))
    }),
    ("/answer/*", |_, request| {
        ready(answer::answer(request.uri().path()))
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

fn ready(response: Response<Body>) -> Boxed<Answer> {
    Box::pin(std::future::ready(Ok(response)))
}

pub(super) fn not_found(_: &Arc<State>, _: Request<Body>) -> Boxed<Answer> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    ready(response)
}

/// A CONNECT: a tunnel, but not to everywhere.
pub(super) fn upgrade(state: &Arc<State>, mut request: Request<Body>) -> Boxed<Answer> {
    if request.uri().to_string().contains("declines") {
        return declines(state, request);
    }
    become_another(state, &mut request);
    ready(Response::new(Body::empty()))
}

fn switch(state: &Arc<State>, mut request: Request<Body>) -> Boxed<Answer> {
    become_another(state, &mut request);
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "echo")
        .body(Body::empty());
    Box::pin(async { Ok(response?) })
}

/// Takes what the connection would become, and doesn't agree to it: with a response, or by a panic,
/// or with a body that never ends.
fn declines(state: &Arc<State>, mut request: Request<Body>) -> Boxed<Answer> {
    let (upgraded, declined) = (Upgraded::on(&mut request), Arc::clone(state));
    in_background(async move {
        if upgraded.await.is_err() {
            declined.arrives();
        }
    });
    let mut response = match request.uri().path() {
        "/declines-by-panic" => return Box::pin(async { panic!("{DELIBERATE} in the future") }),
        "/declines-at-length" => Response::new(Body::new(Stream::Endless)),
        _ => hello(),
    };
    *response.status_mut() = StatusCode::FORBIDDEN;
    ready(response)
}

/// Echoes on what the connection or stream becomes, or takes it abroad.
fn become_another(state: &Arc<State>, request: &mut Request<Body>) {
    let path = request.uri().path().to_owned();
    let script: Option<fn(Upgraded) -> Boxed<()>> = match &*path {
        "/facts" => Some(|upgraded| Box::pin(script::tell_facts(upgraded))),
        "/times" => Some(|upgraded| Box::pin(script::tell_times(upgraded))),
        _ => None,
    };
    if let Some(script) = script {
        let (upgraded, place) = (Upgraded::on(request), state.place);
        return in_background(async move {
            let Ok(upgraded) = upgraded.await else { return };
            match place {
                Place::Home => script(upgraded).await,
                Place::Abroad => cross_thread::run(script(upgraded)).await,
            }
        });
    }
    let (upgrade, state) = (hyper::upgrade::on(request), Arc::clone(state));
    in_background(async move {
        let Ok(upgraded) = upgrade.await else { return };
        match &*path {
            path if path.ends_with("-abroad") => cross_thread::take(path, upgraded, &state),
            _ => match state.place {
                Place::Home => script::echo(TokioIo::new(upgraded)).await,
                Place::Abroad => cross_thread::run(script::echo(TokioIo::new(upgraded))).await,
            },
        }
    });
}

async fn len(request: Request<Body>) -> Answer {
    let n = length(request.into_body()).await?;
    Ok(Response::new(n.to_string().into()))
}

async fn slow(state: Arc<State>) -> Answer {
    let _waits = state.waits(false);
    state.released.acquire().await?.forget();
    Ok(hello())
}

/// As slow, and its body has been read.
async fn slow_len(state: Arc<State>, request: Request<Body>) -> Answer {
    let n = length(request.into_body()).await?;
    slow(state).await?;
    Ok(Response::new(n.to_string().into()))
}

async fn forever(state: Arc<State>, panics: bool) -> Answer {
    let _waits = state.waits(panics);
    pending().await
}

/// The body is held, and not read.
fn hold(state: &Arc<State>, request: Request<Body>) -> Boxed<Answer> {
    let state = Arc::clone(state);
    Box::pin(async move {
        let _held = (state.waits(false), request);
        pending().await
    })
}

/// The body is read on after the response.
fn accepted(state: &Arc<State>, request: Request<Body>) -> Boxed<Answer> {
    in_background(read_on(request.into_body(), Arc::clone(state)));
    ready(hello())
}

/// It goes on after the response, with the request in its hands, until it's released.
fn background(state: &Arc<State>, request: Request<Body>) -> Boxed<Answer> {
    let state = Arc::clone(state);
    in_background(async move {
        let _held = (state.waits(false), request);
        state.released.acquire().await.unwrap().forget();
    });
    ready(hello())
}

fn keep(state: &Arc<State>, request: Request<Body>) -> Boxed<Answer> {
    state.kept.lock().unwrap().push(request.into_body());
    ready(hello())
}

/// Wakes itself again and again.
async fn spin(state: Arc<State>) -> Answer {
    let _waits = state.waits(false);
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

async fn timer() -> Answer {
    sleep(Duration::from_millis(5)).await;
    Ok(hello())
}

/// Spawns a task that another thread wakes. It goes on where it was spawned, if that's a worker's
/// own thread.
async fn woken(state: Arc<State>) -> Answer {
    let here = thread::current();
    in_background(async move {
        let (wake, is_woken) = oneshot::channel();
        thread::spawn(move || wake.send(()));
        is_woken.await.unwrap();
        sleep(Duration::from_millis(1)).await;
        let is_own = here.name().is_some_and(|name| name.starts_with("anyport-"));
        assert!(
            !is_own || thread::current().id() == here.id(),
            "it went elsewhere"
        );
        state.arrives();
    });
    Ok(hello())
}

fn panic_spawned(_: &Arc<State>, _: Request<Body>) -> Boxed<Answer> {
    in_background(async { panic!("{DELIBERATE} in a spawned task") });
    panic!("{DELIBERATE} in call")
}

/// The body is read on a thread that is no worker's; 408, if it doesn't come.
async fn len_elsewhere(request: Request<Body>) -> Answer {
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

/// Keeps its worker's thread for as long as the path says.
async fn block(state: Arc<State>, millis: usize) -> Answer {
    state.arrives();
    thread::sleep(Duration::from_millis(millis as u64));
    Ok(hello())
}

fn stalls(state: &Arc<State>) -> Response<Body> {
    let waits = state.waits(false);
    Response::new(Body::new(Stream::Stalling {
        begun: false,
        _waits: waits,
    }))
}

fn chunks(each: usize) -> Response<Body> {
    let left = Bytes::from(script::pattern(CHUNKS * each));
    Response::new(Body::new(Stream::Chunks { left, each }))
}

/// Spawns on the current worker, whatever it runs on.
fn in_background(future: impl Future<Output = ()> + Send + 'static) {
    spawn(future).expect("an app is polled on a worker");
}

fn hello() -> Response<Body> {
    let mut response = Response::new(Body::from(HELLO));
    let text = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// What the app sees as the host: the authority, or the header.
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

/// The number at a path's end.
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
