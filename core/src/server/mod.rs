//! The server: joins transports, apps and configuration, and runs them.
//!
//! This is the highest layer. It composes, starts and ends the parts of the lower layers. No code
//! here runs for each connection.
mod bounds;
mod handle;
mod run;
mod serve;
mod served_transport;
mod watch;

pub use bounds::{
    AppBounds, AppOver, HttpRuntime, ProtocolOver, ProtocolRuntime, RuntimeFor, SpawnOn,
    TaskBounds, TaskWith,
};
pub use handle::{Handle, Wait};
pub use serve::Serve;
pub use served_transport::ServedTransport;

use crate::{
    app::App,
    config::{HttpOptions, Limits, Timeouts},
    engine::{Accepted, Config, Protocol, Raw, ServerState},
    error::{Error, Result},
    observe::{Event, Observer},
    runtime::{AmbientTokio, Workers},
    transport::{Endpoint, Listener, Transport},
};
use served_transport::Settings;
use std::{
    fmt,
    future::Future,
    sync::{Arc, mpsc},
};
use watch::Shutdown;

/// The connections of a transport.
type ConnectionOf<T> = <<T as Transport>::Listener as Listener>::Connection;

/// Serves an app over a transport.
///
/// An app is any `tower::Service` of `http::Request<Body>`: an axum `Router`, a `service_fn`, or
/// one service for each worker, by [`per_worker`](crate::per_worker). If the app does not fit the
/// transport's runtime, this call does not compile, and the message says what is missing.
///
/// Nothing happens until you `.await` the returned [`Server`], or call [`run`](Server::run) or
/// [`start`](Server::start).
///
/// ```no_run
/// # use anyport_core::{Result, Transport, bounds::AppOver, serve_with};
/// # async fn f<T: Transport, A: AppOver<T>>(transport: T, app: A) -> Result<()> {
/// serve_with(transport, app).await?;
/// # Ok(()) }
/// ```
pub fn serve_with<T, A>(transport: T, app: A) -> Server
where
    T: Transport,
    A: App,
    A: AppOver<T>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`, `per_worker(..)`.
{
    Server::empty().and(transport, app)
}

/// Serves the raw bytes of a transport: `handler` gets each connection after its handshake.
///
/// The connection ends when the handler's future does. Drain and limits work as with HTTP. The
/// handler has no timeouts except its own.
///
/// ```no_run
/// # use anyport_core::{Listener, Result, Transport, bounds::ProtocolOver, protocol::Accepted, serve_raw_with};
/// # use std::future::Future;
/// # async fn f<T: Transport, F, Fut>(transport: T, echo: F) -> Result<()>
/// # where F: Fn(Accepted<<T::Listener as Listener>::Connection>) -> Fut + Clone + Send + 'static, Fut: Future<Output = ()> + 'static,
/// #     anyport_core::protocol::Raw<F>: ProtocolOver<T> {
/// serve_raw_with(transport, echo).await?;
/// # Ok(()) }
/// ```
pub fn serve_raw_with<T, F, Fut>(transport: T, handler: F) -> Server
where
    T: Transport,
    F: Fn(Accepted<ConnectionOf<T>>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
    Raw<F>: ProtocolOver<T>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`.
{
    Server::empty().and_raw(transport, handler)
}

/// Serves a protocol of your own over a transport. For HTTP, use [`serve_with`]. For an async
/// function that gets each connection, use [`serve_raw_with`].
pub fn serve_protocol_with<T, P>(transport: T, protocol: P) -> Server
where
    T: Transport,
    P: Protocol<Accepted<ConnectionOf<T>>> + Send,
    P: ProtocolOver<T>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`.
{
    Server::empty().and_protocol(transport, protocol)
}

/// One or more transports with their apps, with one handle and one drain.
///
/// [`serve_with`] and [`serve_raw_with`] make one. There are three ways to run it:
///
/// - **`.await`**, in an async `main`: runs until the server ends. Dropping that future aborts the
///   server.
/// - [**`.run()`**](Self::run), in a plain `main`: the same, with a runtime of its own.
/// - [**`.start()`**](Self::start): starts at once and returns a [`Handle`]. Dropping the handle
///   has no effect.
///
/// All three return the same errors: an address that cannot be bound or a contradictory
/// configuration is reported before the first connection is accepted. The handle also gives the
/// [report](crate::observe::DrainReport) of a drain: [`Handle::wait`].
///
/// ```no_run
/// # use anyport_core::{Limits, Result, Timeouts, Transport, bounds::AppOver, serve_with};
/// # use std::time::Duration;
/// # async fn f<T: Transport, U: Transport, A: AppOver<T> + AppOver<U>>(public: T, admin: U, app: A) -> Result<()>
/// # where A: Clone {
/// let server = serve_with(public, app.clone())
///     .and(admin, app) // another transport, on the same or another runtime
///     .limits(Limits::strict())
///     .timeouts(Timeouts::default().with_drain(Duration::from_secs(20)));
/// let handle = server.start()?;
/// println!("listening on {:?}", handle.endpoints());
/// let report = handle.wait().await?;
/// println!("{report}");
/// # Ok(()) }
/// ```
#[must_use = "a server does nothing unless it is awaited, run or started"]
pub struct Server {
    transports: Vec<ServedTransport>,
    config: Config,
    workers: Option<Workers>,
    pinned: bool,
    shutdown: Option<Shutdown>,
}

impl Server {
    fn empty() -> Self {
        Self {
            transports: Vec::new(),
            config: Config::default(),
            workers: None,
            pinned: false,
            shutdown: None,
        }
    }

    fn with_transport(mut self, transport: ServedTransport) -> Self {
        self.transports.push(transport);
        self
    }

    /// Adds a transport, on any runtime, with its own app or the same. Limits, handle and drain are
    /// shared.
    pub fn and<T, A>(self, transport: T, app: A) -> Self
    where
        T: Transport,
        A: App,
        A: AppOver<T>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`, `per_worker(..)`.
    {
        self.with_transport(A::into_served(transport, app))
    }

    /// Adds a transport, and passes its raw connections to `handler`.
    pub fn and_raw<T, F, Fut>(self, transport: T, handler: F) -> Self
    where
        T: Transport,
        F: Fn(Accepted<ConnectionOf<T>>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + 'static,
        Raw<F>: ProtocolOver<T>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`.
    {
        self.and_protocol(transport, Raw(handler))
    }

    /// Adds a transport with a protocol of your own.
    pub fn and_protocol<T, P>(self, transport: T, protocol: P) -> Self
    where
        T: Transport,
        P: Protocol<Accepted<ConnectionOf<T>>> + Send,
        P: ProtocolOver<T>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`.
    {
        self.with_transport(P::into_served(transport, protocol))
    }

    /// The number of workers of each transport. Default: that of the transport.
    pub fn workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = Some(workers.into());
        self
    }

    /// Pins each worker's thread to a core, round-robin. This works only for transports whose
    /// workers have threads of their own.
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// Drains the server when `shutdown` is ready, with the grace [`Timeouts::drain`].
    ///
    /// With [`shutdown::signal`](crate::runtime::shutdown::signal), SIGTERM and SIGINT begin the
    /// drain. Without it the server handles no signal.
    pub fn with_graceful_shutdown(
        mut self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.shutdown = Some(Box::pin(shutdown));
        self
    }

    /// How much a peer may use. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// How long a peer or an app may take. Default: [`Timeouts::default`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.config.timeouts = timeouts;
        self
    }

    /// The options of HTTP. Default: [`HttpOptions::default`].
    pub fn http(mut self, http: HttpOptions) -> Self {
        self.config.http = http;
        self
    }

    /// Sends the events of the server and its connections to an observer. Default: none.
    ///
    /// With the feature `tracing`, the server also writes them to its log, whether or not it has an
    /// observer.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.config.observers.set(observer);
        self
    }

    /// Writes no events to `tracing`. Default: with the feature `tracing`, the server logs them
    /// with the target `anyport`, to the subscriber that the program has installed.
    ///
    /// | level | event |
    /// |---|---|
    /// | ERROR | a panic, a response that violates HTTP, a listener that failed permanently |
    /// | WARN | a [`Warning`](Event::Warning), an accept error that makes a worker wait |
    /// | INFO | listening, the progress of a drain and its report |
    /// | DEBUG | each connection, and all that a peer can cause |
    ///
    /// An observer still receives the events. The span of each connection remains, for log lines of
    /// the app.
    #[cfg(feature = "tracing")]
    pub fn without_logging(mut self) -> Self {
        self.config.observers.stop_logging();
        self
    }

    /// Closes a connection as soon as it is accepted, before any handshake, if `filter` returns
    /// `false` for its peer. Default: every peer may connect.
    ///
    /// The accept loop calls the filter, so it must be quick. If it panics, the connection is
    /// refused. A transport may learn in its handshake that the peer is a proxy. The filter is then
    /// called after the handshake, with the client's address instead of the proxy's.
    pub fn accept_filter(
        mut self,
        filter: impl Fn(&Endpoint) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.filter = Some(Arc::new(filter));
        self
    }

    /// Starts the server. Each of the three ways to run a server calls this.
    fn launch(self) -> Result<Handle> {
        if self.pinned && self.transports.iter().any(|transport| transport.ambient) {
            return Err(Error::config(
                "workers on the ambient runtime cannot be pinned: use a transport with threads of its own (`.per_core()`)",
            ));
        }
        self.config
            .check(self.transports.iter().any(|transport| transport.http))?;
        for transport in &self.transports {
            (transport.check)()?;
        }
        let ambient_tokio = match self.transports.iter().all(|transport| transport.is_tokio) {
            true => AmbientTokio::default(),
            false => AmbientTokio::find()?,
        };
        // All transports are bound before one is served.
        let opened = self
            .transports
            .into_iter()
            .map(|transport| (transport.open)(self.workers))
            .collect::<Result<Vec<_>>>()?;
        for opened in &opened {
            self.config.observe(|| Event::Listening {
                endpoint: &opened.endpoint,
            });
        }
        let endpoints = opened
            .iter()
            .map(|opened| opened.endpoint.clone())
            .collect();
        let shared = Arc::new(ServerState::new(self.config));
        let (report, reports) = mpsc::channel();
        let settings = Settings {
            pin: self.pinned,
            shared: Arc::clone(&shared),
            report,
            ambient_tokio,
        };
        // Transports on an ambient runtime come last: this thread cannot wait for their end.
        let (ambient, threads): (Vec<_>, Vec<_>) =
            opened.into_iter().partition(|opened| opened.ambient);
        // One after another: the first failure is the one returned, and a worker that is starting
        // takes no descriptors from another.
        let launched = threads.into_iter().chain(ambient).try_for_each(|opened| {
            (opened.launch)(&settings)?;
            // Each worker reports its start, even if it is dropped unstarted, so this ends.
            reports.iter().take(opened.workers).collect()
        });
        drop(settings);
        if let Err(error) = launched {
            shared.abort();
            run::wait_for_threads(&reports);
            return Err(error);
        }
        Ok(Handle::new(shared, endpoints))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("transports", &self.transports.len())
            .field("config", &self.config)
            .field("workers", &self.workers)
            .field("pinned", &self.pinned)
            .finish_non_exhaustive()
    }
}
