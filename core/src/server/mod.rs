//! The server: joins transports, apps and configuration, and runs them.
//!
//! This is the highest layer. It composes, starts and ends what the lower layers have. No code here
//! runs for each connection.
mod bounds;
mod handle;
mod part;
mod run;
mod serve;

pub use bounds::{
    AppBounds, AppOver, HttpRuntime, ProtocolOver, ProtocolRuntime, RuntimeFor, SpawnOn,
    TaskBounds, TaskWith,
};
pub use handle::{Handle, Wait};
pub use part::Part;
pub use serve::Serve;

use crate::{
    app::App,
    config::{HttpOptions, Limits, Timeouts},
    engine::{Accepted, Config, Protocol, Raw, ServerState},
    error::{Error, Result},
    observe::{DrainReport, Event, Observer},
    runtime::{Around, Workers},
    transport::{Endpoint, Listener, Transport},
};
use part::Settings;
use std::{
    fmt,
    future::{Future, IntoFuture},
    sync::{Arc, mpsc},
};

/// The connection type that a transport's listener hands out.
type ConnectionOf<T> = <<T as Transport>::Listener as Listener>::Connection;

/// Serves an app over a transport.
///
/// Nothing happens until the returned [`Server`] is `.await`ed, [`run`](Server::run) or
/// [`start`](Server::start)ed.
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
    A: AppOver<T>, // Not `Send`? An `Arc` for each `Rc`; or threads of its own: `Tcp::bind(..).per_core()`, `per_worker(..)`.
{
    Server::empty().and(transport, app)
}

/// Serves whatever bytes a transport brings: `handler` gets each connection as it is, after its
/// handshake.
///
/// The connection ends when the handler's future does. Drain and limits work as with HTTP; the
/// handler has no deadlines but those it makes itself.
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
    Raw<F>: ProtocolOver<T>, // Not `Send`? An `Arc` for each `Rc`; or threads of its own: `Tcp::bind(..).per_core()`.
{
    Server::empty().and_raw(transport, handler)
}

/// Serves a transport with a protocol of your own: what's neither HTTP nor a matter of one async
/// function.
pub fn serve_protocol_with<T, P>(transport: T, protocol: P) -> Server
where
    T: Transport,
    P: Protocol<Accepted<ConnectionOf<T>>> + Send,
    P: ProtocolOver<T>, // Not `Send`? An `Arc` for each `Rc`; or threads of its own: `Tcp::bind(..).per_core()`.
{
    Server::empty().and_protocol(transport, protocol)
}

/// One or more transports with their apps, under one handle and one drain.
///
/// Made by [`serve_with`] and [`serve_raw_with`]; run in one of three ways:
///
/// - **`.await`**, in an async `main`: until the server ends. Dropping that future aborts the
///   server.
/// - [**`.run()`**](Self::run), from a plain `main`: the same, with a runtime of its own.
/// - [**`.start()`**](Self::start): at once, and gives a [`Handle`]. Dropping that does nothing.
///
/// All three give the same errors: whatever can't be bound, or contradicts itself, shows before the
/// first connection is accepted.
#[must_use = "a server does nothing unless it's awaited, run or started"]
pub struct Server {
    parts: Vec<Part>,
    config: Config,
    workers: Option<Workers>,
    pinned: bool,
    shutdown: Option<serve::Shutdown>,
}

impl Server {
    fn empty() -> Self {
        Self {
            parts: Vec::new(),
            config: Config::default(),
            workers: None,
            pinned: false,
            shutdown: None,
        }
    }

    fn with_part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// One more transport, of any runtime, with an app of its own or the same: same limits, same
    /// handle, same drain.
    pub fn and<T, A>(self, transport: T, app: A) -> Self
    where
        T: Transport,
        A: App,
        A: AppOver<T>, // Not `Send`? An `Arc` for each `Rc`; or threads of its own: `Tcp::bind(..).per_core()`, `per_worker(..)`.
    {
        self.with_part(A::serve(transport, app))
    }

    /// One more transport, whose bytes go to `handler` as they are.
    pub fn and_raw<T, F, Fut>(self, transport: T, handler: F) -> Self
    where
        T: Transport,
        F: Fn(Accepted<ConnectionOf<T>>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + 'static,
        Raw<F>: ProtocolOver<T>, // Not `Send`? An `Arc` for each `Rc`; or threads of its own: `Tcp::bind(..).per_core()`.
    {
        self.and_protocol(transport, Raw(handler))
    }

    /// One more transport, which speaks a protocol of your own.
    pub fn and_protocol<T, P>(self, transport: T, protocol: P) -> Self
    where
        T: Transport,
        P: Protocol<Accepted<ConnectionOf<T>>> + Send,
        P: ProtocolOver<T>, // Not `Send`? An `Arc` for each `Rc`; or threads of its own: `Tcp::bind(..).per_core()`.
    {
        self.with_part(P::speak(transport, protocol))
    }

    /// How many workers each transport gets. Default: what the transport says.
    pub fn workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = Some(workers.into());
        self
    }

    /// Pins each worker's thread to a core, in turn. Only for transports whose workers have threads
    /// of their own.
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// Begins a drain when `shutdown` is ready; it may take [`Timeouts::drain`].
    ///
    /// With [`shutdown::signal`](crate::runtime::shutdown::signal), SIGTERM and SIGINT do it. No
    /// signal is touched without that.
    pub fn with_graceful_shutdown(
        mut self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.shutdown = Some(Box::pin(shutdown));
        self
    }

    /// How much peers may take. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// How long things may take. Default: [`Timeouts::default`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.config.timeouts = timeouts;
        self
    }

    /// How HTTP is spoken. Default: [`HttpOptions::default`].
    pub fn http(mut self, http: HttpOptions) -> Self {
        self.config.http = http;
        self
    }

    /// Tells an observer what happens to the connections. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.config.observer = Some(Arc::new(observer));
        self
    }

    /// Closes a connection as soon as it's accepted, before any handshake, unless `filter` says
    /// `true` of its peer. Default: everybody may connect.
    ///
    /// It's asked on the workers, in the accept loop: it must be quick. If it panics, the
    /// connection is refused.
    pub fn accept_filter(
        mut self,
        filter: impl Fn(&Endpoint) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.filter = Some(Arc::new(filter));
        self
    }

    /// Starts the server and gives its handle; the sockets are bound and listening then.
    ///
    /// The calling thread waits until each worker has started, for some milliseconds. A transport
    /// on an ambient runtime has to be started inside it.
    ///
    /// # Errors
    ///
    /// What contradicts itself, can't be bound or can't be started. Nothing is left then, but for a
    /// tokio that was started for the app, whose threads end within moments; and if one of several
    /// transports on an ambient runtime had been started already, its part ends when that runtime
    /// polls it next.
    pub fn start(mut self) -> Result<Handle> {
        let shutdown = self.shutdown.take().map(run::Background::new).transpose()?;
        let handle = self.launch()?;
        if let Some(shutdown) = shutdown
            && let Err(error) = shutdown.watch(handle.clone())
        {
            handle.shared().abort();
            return Err(error);
        }
        Ok(handle)
    }

    /// Runs the server to its end, from a thread that's in no runtime, such as a plain `main`'s.
    ///
    /// With the feature `tokio` there's a tokio runtime around it: the shutdown future may use it,
    /// and a transport on the ambient tokio runs on it, with one thread per core.
    ///
    /// # Errors
    ///
    /// As with [`start`](Self::start); later, if accepting fails for good or a worker panics.
    pub fn run(self) -> Result<DrainReport> {
        let ambient = self.parts.iter().any(|part| part.ambient);
        run::to_the_end(self.into_future(), ambient)
    }

    fn launch(self) -> Result<Handle> {
        if self.pinned && self.parts.iter().any(|part| part.ambient) {
            return Err(Error::config(
                "workers on the ambient runtime can't be pinned: use a transport with threads of its own (`.per_core()`)",
            ));
        }
        self.config.check(self.parts.iter().any(|part| part.http))?;
        for part in &self.parts {
            (part.check)()?;
        }
        let around = match self.parts.iter().all(|part| part.is_tokio) {
            true => Around::default(),
            false => Around::find()?,
        };
        // Everything is bound before anything is served.
        let opened = self
            .parts
            .into_iter()
            .map(|part| (part.open)(self.workers))
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
            around,
        };
        // What's on an ambient runtime comes last: nobody could wait for its end here.
        let (ambient, threads): (Vec<_>, Vec<_>) =
            opened.into_iter().partition(|opened| opened.ambient);
        // One after another, so that the first to fail is the one that's told of, and none that's
        // being made takes descriptors from another.
        let launched = threads.into_iter().chain(ambient).try_for_each(|opened| {
            (opened.launch)(&settings)?;
            // Each worker says how it went, even if it's dropped unstarted; so this ends.
            reports.iter().take(opened.workers).collect()
        });
        drop(settings);
        if let Err(error) = launched {
            shared.abort();
            run::wait_briefly(&reports);
            return Err(error);
        }
        Ok(Handle::new(shared, endpoints))
    }
}

impl IntoFuture for Server {
    type Output = Result<DrainReport>;
    type IntoFuture = Serve;

    fn into_future(self) -> Serve {
        Serve::new(self)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("transports", &self.parts.len())
            .field("config", &self.config)
            .field("workers", &self.workers)
            .field("pinned", &self.pinned)
            .finish_non_exhaustive()
    }
}
