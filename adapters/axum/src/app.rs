//! The app that adds facts about the connection to each request.
use anyport_core::{App, Body, ConnInfo, bounds::HttpService, runtime::Worker};
use http::Request;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tower_service::Service;

/// Adds the [`ConnInfo`] of its connection to each request, for the extractors of this crate.
///
/// It wraps any app, such as an axum `Router` or one [`per_worker`](anyport_core::per_worker). The
/// [`ConnInfo`] is in the request's extensions, for a few small allocations per request, so
/// middleware and axum's own `Extension<ConnInfo>` see it, too.
/// [`HttpOptions::with_conn_info`](anyport_core::HttpOptions::with_conn_info) does the same for all
/// apps of a server.
///
/// ```
/// # use anyport_axum::{Peer, app};
/// # use axum::{Router, routing::get};
/// let router = Router::new().route("/", get(async |Peer(peer): Peer| format!("Hello, {peer}!")));
/// let app = app(router);
/// # fn is_app(_: impl anyport_core::App) {}
/// # is_app(app);
/// ```
pub fn app<A: App>(app: A) -> WithConnInfo<A> {
    WithConnInfo {
        app,
        connect_info: false,
    }
}

/// The app that [`app`] returns.
#[derive(Clone, Copy, Debug)]
pub struct WithConnInfo<A> {
    app: A,
    connect_info: bool,
}

impl<A> WithConnInfo<A> {
    /// Also adds axum's own `ConnectInfo<SocketAddr>` to each request whose peer has an IP address:
    /// for handlers and middleware written for
    /// `into_make_service_with_connect_info::<SocketAddr>()`. It costs one more allocation per
    /// request.
    ///
    /// A peer of a Unix socket has no IP address. A handler that extracts `ConnectInfo<SocketAddr>`
    /// responds to it with axum's 500, and the server warns its observer once per worker. Extract
    /// [`Peer`](crate::Peer) there.
    ///
    #[cfg_attr(feature = "serve", doc = "```")]
    #[cfg_attr(not(feature = "serve"), doc = "```compile_fail")]
    /// # use anyport_axum::app;
    /// # use axum::{Router, extract::ConnectInfo, routing::get};
    /// # use std::net::SocketAddr;
    /// let router = Router::new().route(
    ///     "/",
    ///     get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
    /// );
    /// let app = app(router).with_connect_info();
    /// ```
    #[must_use]
    pub fn with_connect_info(mut self) -> Self
    where
        Self: HasConnectInfo,
    {
        self.connect_info = true;
        self
    }
}

/// An app that can add axum's `ConnectInfo`: with the feature `serve`, every [`WithConnInfo`].
#[diagnostic::on_unimplemented(
    message = "`with_connect_info` needs the feature `axum-serve` of anyport",
    label = "the feature is off",
    note = "turn it on: `cargo add anyport --features axum-serve`, or `serve` of anyport-axum",
    note = "without it, handlers get the peer from `anyport::axum::Peer`"
)]
pub trait HasConnectInfo {}

#[cfg(feature = "serve")]
impl<A> HasConnectInfo for WithConnInfo<A> {}

// The compiler must not suggest this type to users whose type is not an app.
#[diagnostic::do_not_recommend]
impl<A: App> App for WithConnInfo<A> {
    type Service = AddConnInfo<A::Service>;

    fn make(&self, worker: &Worker) -> Self::Service {
        AddConnInfo {
            service: self.app.make(worker),
            info: None,
            connect_info: self.connect_info.then(|| Arc::new(Missing::new(worker))),
        }
    }

    fn connect(&self, service: Self::Service, info: &ConnInfo) -> Self::Service {
        if let Some(missing) = &service.connect_info
            && info.peer().socket_addr().is_none()
        {
            missing.warn(info);
        }
        AddConnInfo {
            service: self.app.connect(service.service, info),
            info: Some(info.clone()),
            connect_info: service.connect_info,
        }
    }
}

/// The service of a [`WithConnInfo`], for a worker or for one connection. The service of a
/// connection adds the [`ConnInfo`] to each request.
#[derive(Clone, Debug)]
pub struct AddConnInfo<S> {
    service: S,
    info: Option<ConnInfo>,
    /// Whether axum's `ConnectInfo` is added, and what is said where it cannot be.
    connect_info: Option<Arc<Missing>>,
}

/// Says once per worker that a peer has no IP address.
#[derive(Debug)]
struct Missing {
    worker: Worker,
    is_known: AtomicBool,
}

impl Missing {
    fn new(worker: &Worker) -> Self {
        Self {
            worker: worker.clone(),
            is_known: AtomicBool::new(false),
        }
    }

    fn warn(&self, info: &ConnInfo) {
        if !self.is_known.swap(true, Ordering::Relaxed) {
            self.worker.warn(&format!(
                "a client of {} has no IP address, so it gets a 500 from handlers that extract axum's \
                 `ConnectInfo<SocketAddr>`; extract `anyport::axum::Peer` instead",
                info.local()
            ));
        }
    }
}

impl<S: HttpService> Service<Request<Body>> for AddConnInfo<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        if let Some(info) = &self.info {
            #[cfg(feature = "serve")]
            if self.connect_info.is_some()
                && let Some(peer) = info.peer().socket_addr()
            {
                request
                    .extensions_mut()
                    .insert(axum::extract::ConnectInfo(peer));
            }
            request.extensions_mut().insert(info.clone());
        }
        self.service.call(request)
    }
}
