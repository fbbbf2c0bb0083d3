//! The app that the suite serves: a route for each behaviour, good and bad.
use crate::{
    abroad,
    answer::{answer, fails_later},
    script::{self, Place},
    site::Boxed,
    state::{Fault, State, Waits},
};
use anyport_core::{Body, BoxError, ConnInfo, Upgraded, spawn};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};
use tower_service::Service;

/// What every deliberate panic begins with; it's kept out of the tests' output.
pub(crate) const DELIBERATE: &str = "deliberate:";

/// How much `/big` answers, in one piece: more than any transport has buffers for.
pub(crate) const BIG: usize = 48 * 1024 * 1024;

/// In how many chunks `/chunks/LENGTH` answers, of that length each.
pub(crate) const CHUNKS: usize = 3;

/// What `/` answers.
pub(crate) const HELLO: &str = "Hello, World!";

/// The app that the suite serves.
pub(crate) struct App {
    state: Arc<State>,
}

impl App {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Echoes on what the connection or stream becomes, or takes it abroad.
    fn upgrade(&self, request: &mut Request<Body>) {
        let path = request.uri().path().to_owned();
        if path == "/facts" {
            let (upgraded, place) = (Upgraded::on(request), self.state.place);
            return in_background(async move {
                let Ok(upgraded) = upgraded.await else { return };
                match place {
                    Place::Home => script::tell_facts(upgraded).await,
                    Place::Abroad => abroad::run(script::tell_facts(upgraded)).await,
                }
            });
        }
        let (upgrade, state) = (hyper::upgrade::on(request), Arc::clone(&self.state));
        in_background(async move {
            let Ok(upgraded) = upgrade.await else { return };
            match &*path {
                path if path.ends_with("-abroad") => abroad::take(path, upgraded, &state),
                _ => match state.place {
                    Place::Home => script::echo(TokioIo::new(upgraded)).await,
                    Place::Abroad => abroad::run(script::echo(TokioIo::new(upgraded))).await,
                },
            }
        });
    }
}

impl Clone for App {
    fn clone(&self) -> Self {
        assert!(!self.state.strikes(Fault::PanicInClone), "{DELIBERATE} in clone");
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

type Answer = Result<Response<Body>, BoxError>;

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Boxed<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        assert!(
            !self.state.strikes(Fault::PanicInPollReady),
            "{DELIBERATE} in poll_ready"
        );
        if self.state.strikes(Fault::NotReady) {
            return Poll::Ready(Err("not ready".into()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Boxed<Answer> {
        let state = Arc::clone(&self.state);
        if request.method() == Method::CONNECT {
            self.upgrade(&mut request);
            return Box::pin(async { Ok(Response::new(Body::empty())) });
        }
        match request.uri().path() {
            "/" => Box::pin(async { Ok(hello()) }),
            "/echo" => Box::pin(async { Ok(Response::new(request.into_body())) }),
            "/len" => Box::pin(async {
                let n = length(request.into_body()).await?;
                Ok(Response::new(n.to_string().into()))
            }),
            // It's read on after the response.
            "/accepted" => {
                in_background(read_on(request.into_body(), state));
                Box::pin(async { Ok(hello()) })
            }
            // It goes on after the response, with the request in its hands, until it's released.
            "/background" => {
                in_background(async move {
                    let _held = (state.waits(false), request);
                    state.released.acquire().await.unwrap().forget();
                });
                Box::pin(async { Ok(hello()) })
            }
            "/keep" => {
                state.kept.lock().unwrap().push(request.into_body());
                Box::pin(async { Ok(hello()) })
            }
            "/host" => Box::pin(async move { Ok(Response::new(host(&request).into())) }),
            "/info" => Box::pin(async move { Ok(Response::new(info(&request).into())) }),
            "/stream" => Box::pin(async { Ok(Response::new(Body::new(Stream::Endless))) }),
            "/stalls" => {
                let stream = Stream::Stalling {
                    begun: false,
                    _waits: state.waits(false),
                };
                Box::pin(async { Ok(Response::new(Body::new(stream))) })
            }
            "/big" => Box::pin(async { Ok(Response::new(vec![0; BIG].into())) }),
            "/slow" => Box::pin(async move {
                let _waits = state.waits(false);
                state.released.acquire().await?.forget();
                Ok(hello())
            }),
            // As slow, and its body has been read.
            "/slow-len" => Box::pin(async move {
                let n = length(request.into_body()).await?;
                let _waits = state.waits(false);
                state.released.acquire().await?.forget();
                Ok(Response::new(n.to_string().into()))
            }),
            // Keeps its worker's thread for as long as the path says, in milliseconds.
            path if path.starts_with("/block/") => {
                let time = Duration::from_millis(number(path) as u64);
                Box::pin(async move {
                    state.arrives();
                    thread::sleep(time);
                    Ok(hello())
                })
            }
            "/forever" => Box::pin(async move {
                let _waits = state.waits(false);
                std::future::pending().await
            }),
            path if matches!(path, "/upgrade" | "/facts") || path.ends_with("-abroad") => {
                self.upgrade(&mut request);
                let response = Response::builder()
                    .status(StatusCode::SWITCHING_PROTOCOLS)
                    .header(header::CONNECTION, "upgrade")
                    .header(header::UPGRADE, "echo")
                    .body(Body::empty());
                Box::pin(async { Ok(response?) })
            }
            path if path.starts_with("/answer/") => {
                let response = answer(path);
                Box::pin(async { Ok(response) })
            }
            path @ ("/fails-later" | "/panics-later") => {
                let response = fails_later(state, path == "/panics-later");
                Box::pin(async { Ok(response) })
            }
            "/error" => Box::pin(async { Err("a mistake".into()) }),
            "/error-body" => Box::pin(async { Ok(Response::new(Body::new(Stream::failing(false)))) }),
            "/panic-call" => panic!("{DELIBERATE} in call"),
            "/panic" => Box::pin(async { panic!("{DELIBERATE} in the future") }),
            "/panic-body" => Box::pin(async { Ok(Response::new(Body::new(Stream::failing(true)))) }),
            "/panic-body-drop" => Box::pin(async { Ok(Response::new(Body::new(Stream::Panicking(false)))) }),
            // Its body is held, and not read.
            "/hold" => Box::pin(async move {
                let _held = (state.waits(false), request);
                std::future::pending().await
            }),
            "/panic-drop" => Box::pin(async move {
                let _waits = state.waits(true);
                std::future::pending().await
            }),
            path if path.starts_with("/bytes/") => {
                let bytes = script::pattern(number(path));
                Box::pin(async { Ok(Response::new(bytes.into())) })
            }
            path if path.starts_with("/chunks/") => {
                let each = number(path);
                let left = Bytes::from(script::pattern(CHUNKS * each));
                Box::pin(async move { Ok(Response::new(Body::new(Stream::Chunks { left, each }))) })
            }
            _ => Box::pin(async {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_FOUND;
                Ok(response)
            }),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
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
        Some(info) => format!("{} {} {} {}", info.id(), info.worker(), info.local(), info.peer()),
        None => "none".to_owned(),
    }
}

/// The number at a path's end.
fn number(path: &str) -> usize {
    let last = path.rsplit('/').next();
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

/// A response body that doesn't just end.
enum Stream {
    /// Frames of 16 KiB without an end.
    Endless,
    /// One frame, then a panic or an error.
    Failing { begun: bool, panics: bool },
    /// One frame; panics when it's dropped.
    Panicking(bool),
    /// One frame, then nothing, as long as it waits.
    Stalling { begun: bool, _waits: Waits },
    /// Frames of the same length, as long as there's something left.
    Chunks { left: Bytes, each: usize },
}

impl Stream {
    fn failing(panics: bool) -> Self {
        Self::Failing { begun: false, panics }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if matches!(self, Self::Panicking(_)) && !thread::panicking() {
            panic!("{DELIBERATE} in the drop of a body");
        }
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(match &mut *self {
            Self::Panicking(true) => return Poll::Ready(None),
            Self::Panicking(begun) => {
                *begun = true;
                Ok(Frame::data(Bytes::from_static(b"begun")))
            }
            Self::Stalling { begun: true, .. } => return Poll::Pending,
            Self::Stalling { begun, .. } => {
                *begun = true;
                Ok(Frame::data(Bytes::from_static(b"begun")))
            }
            Self::Chunks { left, .. } if left.is_empty() => return Poll::Ready(None),
            Self::Chunks { left, each } => Ok(Frame::data(left.split_to(*each))),
            Self::Endless => Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024]))),
            Self::Failing {
                begun: begun @ false, ..
            } => {
                *begun = true;
                Ok(Frame::data(Bytes::from_static(b"begun")))
            }
            Self::Failing { panics: true, .. } => panic!("{DELIBERATE} in the body"),
            Self::Failing { panics: false, .. } => Err("a mistake in the body".into()),
        }))
    }
}
