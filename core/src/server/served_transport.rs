//! One transport with its protocol. Its types are erased here, once per transport and never per
//! read.
use crate::{
    engine::{AcceptLoop, Accepted, Protocol, ServerState, WorkerGuard, WorkerState},
    error::{Error, Result},
    observe::Event,
    runtime::{AmbientTokio, Launch, Runtime, Start, Warn, Worker, Workers},
    transport::{Endpoint, Listener, Transport},
};
use std::{
    fmt,
    sync::{Arc, mpsc},
};

/// One transport with its app or protocol, ready to be opened.
pub struct ServedTransport {
    pub(super) open: Box<dyn FnOnce(Option<Workers>) -> Result<Opened> + Send>,
    /// [`Runtime::check`]: whether this thread can start its workers.
    pub(super) check: fn() -> Result<()>,
    /// Whether it runs on the runtime that the server is started in.
    pub(super) ambient: bool,
    /// [`Runtime::IS_TOKIO`].
    pub(super) is_tokio: bool,
    pub(super) http: bool,
}

/// A transport whose sockets are bound.
pub(super) struct Opened {
    pub(super) endpoint: Endpoint,
    pub(super) workers: usize,
    pub(super) ambient: bool,
    pub(super) launch: Box<Launcher>,
}

/// Starts the workers on the bound sockets.
type Launcher = dyn FnOnce(&Settings) -> Result<()>;

/// The settings of all workers.
pub(super) struct Settings {
    pub(super) pin: bool,
    pub(super) shared: Arc<ServerState>,
    pub(super) report: mpsc::Sender<Result<()>>,
    /// The tokio for workers that are not inside one themselves.
    pub(super) ambient_tokio: AmbientTokio,
}

impl Settings {
    /// Sends a warning to the log and to the observer.
    fn warn(&self) -> Arc<Warn> {
        let observers = self.shared.config.observers.clone();
        Arc::new(move |worker, message| observers.send(|| Event::Warning { worker, message }))
    }
}

impl ServedTransport {
    /// `protocol` runs on the worker and makes its protocol.
    pub(super) fn new<T, P>(
        transport: T,
        http: bool,
        protocol: impl Fn(&Worker, T::Runtime) -> P + Clone + Send + 'static,
    ) -> Self
    where
        T: Transport,
        P: Protocol<Accepted<<T::Listener as Listener>::Connection>>,
        T::Runtime: Launch<AcceptLoop<T::Listener, P, T::Runtime>>,
    {
        let ambient = T::Runtime::WORKERS == Workers::Ambient;
        let open = move |workers: Option<Workers>| {
            let workers = workers.unwrap_or_else(|| transport.workers());
            if workers == Workers::Ambient && !ambient {
                return Err(Error::config(
                    "Workers::Ambient is set, but this transport's workers have threads of their own: \
                     use Workers::PerCore or Workers::Count(n)",
                ));
            }
            let count = workers.count()?;
            let sockets = transport.open(count)?;
            if sockets.len() != count {
                return Err(Error::config(format!(
                    "the transport opened {} sockets for {count} workers: `Transport::open` must return one for each",
                    sockets.len()
                )));
            }
            let endpoint = transport.endpoint(&sockets[0]);
            let endpoint =
                endpoint.map_err(|e| Error::start("learn the address of a bound socket", e))?;
            let address: Arc<str> = endpoint.to_string().into();
            let launch = move |settings: &Settings| {
                let ambient_tokio = match T::Runtime::IS_TOKIO {
                    true => AmbientTokio::default(),
                    false => settings.ambient_tokio.clone(),
                };
                for (index, socket) in sockets.into_iter().enumerate() {
                    let worker = Worker {
                        index,
                        count,
                        pin: settings.pin,
                        alpn: if http {
                            settings.shared.config.http.alpn()
                        } else {
                            &[]
                        },
                        limits: settings.shared.config.limits,
                        timeouts: settings.shared.config.timeouts,
                        warn: Some(settings.warn()),
                        runtime_options: transport.runtime_options(),
                        endpoint: Some(Arc::clone(&address)),
                    };
                    let (transport, protocol) = (transport.clone(), protocol.clone());
                    let (shared, its_worker) = (Arc::clone(&settings.shared), worker.clone());
                    let make =
                        move || accept_loop(&transport, socket, its_worker, shared, protocol);
                    let start =
                        Start::new(worker, make, settings.report.clone(), ambient_tokio.clone());
                    T::Runtime::launch(start)?;
                }
                Ok(())
            };
            Ok(Opened {
                endpoint,
                workers: count,
                ambient,
                launch: Box::new(launch),
            })
        };
        Self {
            open: Box::new(open),
            check: T::Runtime::check,
            ambient,
            is_tokio: T::Runtime::IS_TOKIO,
            http,
        }
    }
}

/// Runs on the worker: listens and makes the accept loop.
fn accept_loop<T: Transport, P>(
    transport: &T,
    socket: T::Socket,
    worker: Worker,
    shared: Arc<ServerState>,
    protocol: impl FnOnce(&Worker, T::Runtime) -> P,
) -> Result<AcceptLoop<T::Listener, P, T::Runtime>>
where
    P: Protocol<Accepted<<T::Listener as Listener>::Connection>>,
    T::Runtime: Runtime,
{
    let runtime = T::Runtime::current();
    let listener = transport.listen(socket, &worker);
    let listener = listener.map_err(|e| Error::start(format_args!("listen on {worker}"), e))?;
    let protocol = protocol(&worker, runtime.clone());
    let state = WorkerState::new(shared, worker);
    state.set_timer(runtime.timer());
    Ok(AcceptLoop::new(
        listener,
        protocol,
        runtime,
        WorkerGuard::register(state),
    ))
}

impl fmt::Debug for ServedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedTransport")
            .field("ambient", &self.ambient)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
