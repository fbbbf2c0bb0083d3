//! The servers under test: the app over each transport, and over `axum::serve`, which is the
//! reference.
use crate::{client::Version, tls};
#[cfg(all(feature = "glommio", target_os = "linux"))]
use anyport::{Glommio, GlommioUnix};
use anyport::{
    Handle, Listener, Memory, Server, Tcp, Unix,
    axum::{self as for_axum, ConnectionInfo, app},
    runtime::Tokio,
    serve_with,
    tls::{TlsConfig, TlsExt},
    transport::{ByteTransport, Endpoint, UnixName},
};
#[cfg(all(feature = "monoio", target_os = "linux"))]
use anyport::{Monoio, MonoioUnix, transport::monoio::Driver};
use axum::{Router, serve};
use std::{io, net, path::Path, pin::Pin, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

const LOCAL: &str = "127.0.0.1:0";
const PLAIN: &str = "in plain text";
const TLS: &str = "over TLSv1.3";

/// The name; the prefix of a client's endpoint, and how `/whoami` describes the connection; the
/// server.
type TransportCase = (
    &'static str,
    (&'static str, &'static str),
    fn(Router) -> TestServer,
);

/// The transports of all enabled features.
pub(crate) const TRANSPORTS: &[TransportCase] = &[
    ("tcp", ("127.0.0.1:", PLAIN), |router| {
        TestServer::of(serve_with(
            Tcp::bind(LOCAL),
            app(router).with_connect_info(),
        ))
    }),
    ("tcp per core", ("127.0.0.1:", PLAIN), |router| {
        TestServer::of(serve_with(
            Tcp::bind(LOCAL).per_core().with_workers(2),
            app(router).with_connect_info(),
        ))
    }),
    ("unix", ("unix:", PLAIN), |router| {
        TestServer::at_unix_path(|path| {
            TestServer::of(serve_with(
                Unix::bind(path),
                app(router).with_connect_info(),
            ))
        })
    }),
    ("unix per core", ("unix:", PLAIN), |router| {
        TestServer::at_unix_path(|path| {
            TestServer::of(serve_with(
                Unix::bind(path).per_core().with_workers(2),
                app(router).with_connect_info(),
            ))
        })
    }),
    ("memory", ("memory:client-", PLAIN), |router| {
        TestServer::in_memory(|memory| {
            TestServer::of(serve_with(memory, app(router).with_connect_info()))
        })
    }),
    ("memory per core", ("memory:client-", PLAIN), |router| {
        TestServer::in_memory(|memory| {
            TestServer::of(serve_with(
                memory.per_core().with_workers(2),
                app(router).with_connect_info(),
            ))
        })
    }),
    ("tls over tcp", ("127.0.0.1:", TLS), |router| {
        TestServer::with_tls(|tls| {
            TestServer::of(serve_with(
                Tcp::bind(LOCAL).tls(tls),
                app(router).with_connect_info(),
            ))
        })
    }),
    ("tls over tcp per core", ("127.0.0.1:", TLS), |router| {
        let tcp = Tcp::bind(LOCAL).per_core().with_workers(2);
        TestServer::with_tls(|tls| {
            TestServer::of(serve_with(tcp.tls(tls), app(router).with_connect_info()))
        })
    }),
    ("tls over unix", ("unix:", TLS), |router| {
        TestServer::with_tls(|tls| {
            TestServer::at_unix_path(|path| {
                TestServer::of(serve_with(
                    Unix::bind(path).tls(tls),
                    app(router).with_connect_info(),
                ))
            })
        })
    }),
    ("tls over memory", ("memory:client-", TLS), |router| {
        TestServer::with_tls(|tls| {
            TestServer::in_memory(|memory| {
                TestServer::of(serve_with(memory.tls(tls), app(router).with_connect_info()))
            })
        })
    }),
    ("a listener of axum", ("127.0.0.1:", PLAIN), |router| {
        TestServer::of(serve_with(
            for_axum::transport(bind()),
            app(router).with_connect_info(),
        ))
    }),
    ("axum::serve over unix", ("unix:", PLAIN), |router| {
        TestServer::at_unix_path(|path| TestServer::axum_serve(Unix::bind(path), router))
    }),
    ("axum::serve over tls", ("127.0.0.1:", TLS), |router| {
        TestServer::with_tls(|tls| TestServer::axum_serve(Tcp::bind(LOCAL).tls(tls), router))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    ("monoio", ("127.0.0.1:", PLAIN), |router| {
        TestServer::of(serve_with(
            Monoio::bind(LOCAL).with_workers(2),
            app(router).with_connect_info(),
        ))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    ("monoio on epoll", ("127.0.0.1:", PLAIN), |router| {
        let monoio = Monoio::bind(LOCAL).with_workers(2);
        TestServer::of(serve_with(
            monoio.with_driver(Driver::Epoll),
            app(router).with_connect_info(),
        ))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    ("monoio unix", ("unix:", PLAIN), |router| {
        TestServer::at_unix_path(|path| {
            TestServer::of(serve_with(
                MonoioUnix::bind(path).with_workers(2),
                app(router).with_connect_info(),
            ))
        })
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    ("tls over monoio", ("127.0.0.1:", TLS), |router| {
        let monoio = Monoio::bind(LOCAL).with_workers(2);
        TestServer::with_tls(|tls| {
            TestServer::of(serve_with(monoio.tls(tls), app(router).with_connect_info()))
        })
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    ("tls over monoio on epoll", ("127.0.0.1:", TLS), |router| {
        let monoio = Monoio::bind(LOCAL)
            .with_workers(2)
            .with_driver(Driver::Epoll);
        TestServer::with_tls(|tls| {
            TestServer::of(serve_with(monoio.tls(tls), app(router).with_connect_info()))
        })
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    ("glommio", ("127.0.0.1:", PLAIN), |router| {
        TestServer::of(serve_with(
            Glommio::bind(LOCAL).with_workers(2),
            app(router).with_connect_info(),
        ))
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    ("glommio unix", ("unix:", PLAIN), |router| {
        TestServer::at_unix_path(|path| {
            TestServer::of(serve_with(
                GlommioUnix::bind(path).with_workers(2),
                app(router).with_connect_info(),
            ))
        })
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    ("tls over glommio", ("127.0.0.1:", TLS), |router| {
        let glommio = Glommio::bind(LOCAL).with_workers(2);
        TestServer::with_tls(|tls| {
            TestServer::of(serve_with(
                glommio.tls(tls),
                app(router).with_connect_info(),
            ))
        })
    }),
];

/// A server of the app, and a way to connect to it.
pub(crate) struct TestServer {
    dial: Box<Dial>,
    /// Known once the server is started.
    endpoint: Option<Endpoint>,
    served_by: ServedBy,
    _folder: Option<TempDir>,
}

enum ServedBy {
    NotStarted(Option<Box<Server>>),
    Anyport(Handle),
    Axum(oneshot::Sender<()>, JoinHandle<io::Result<()>>),
}

/// The client's end of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to the server, for this version of HTTP.
type Dial = dyn Fn(&Endpoint, Version) -> Dialing + Send + Sync;
type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

impl TestServer {
    /// The reference: axum's own server on tokio's own socket, without anyport.
    pub(crate) fn reference(router: Router) -> Self {
        let listener = bind();
        let endpoint = Endpoint::from(listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
        Self {
            dial: Box::new(dial),
            endpoint: Some(endpoint),
            served_by: ServedBy::Axum(stop, tokio::spawn(serving.into_future())),
            _folder: None,
        }
    }

    fn axum_serve<T>(transport: T, router: Router) -> Self
    where
        T: ByteTransport<Runtime = Tokio, Listener: Listener<Handshake: Send> + Send>,
    {
        let listener = for_axum::listener(transport).unwrap();
        let endpoint = listener.endpoint().clone();
        let (stop, stopped) = oneshot::channel();
        let service = router.into_make_service_with_connect_info::<ConnectionInfo>();
        let serving =
            serve(listener, service).with_graceful_shutdown(async { drop(stopped.await) });
        Self {
            dial: Box::new(dial),
            endpoint: Some(endpoint),
            served_by: ServedBy::Axum(stop, tokio::spawn(serving.into_future())),
            _folder: None,
        }
    }

    fn of(server: Server) -> Self {
        Self {
            dial: Box::new(dial),
            endpoint: None,
            served_by: ServedBy::NotStarted(Some(Box::new(server))),
            _folder: None,
        }
    }

    /// Starts the server, unless it is started.
    pub(crate) fn started(mut self) -> Self {
        if let Some(server) = self.take_server() {
            let running = server.start().unwrap();
            self.set_endpoint(running.endpoints()[0].clone());
            self.served_by = ServedBy::Anyport(running);
        }
        self
    }

    /// Takes the server, for a caller that starts it and [sets its endpoint](Self::set_endpoint).
    /// Returns `None` for `axum::serve`, which is started already.
    pub(crate) fn take_server(&mut self) -> Option<Server> {
        match &mut self.served_by {
            ServedBy::NotStarted(server) => server.take().map(|server| *server),
            _ => None,
        }
    }

    pub(crate) fn set_endpoint(&mut self, endpoint: Endpoint) {
        self.endpoint = Some(endpoint);
    }

    fn at_unix_path(served: impl FnOnce(&Path) -> Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = served(&folder.path().join("app.sock"));
        Self {
            _folder: Some(folder),
            ..served
        }
    }

    fn in_memory(served: impl FnOnce(Memory) -> Self) -> Self {
        let memory = Memory::new();
        let connector = Arc::new(memory.connector());
        let served = served(memory);
        let dial = move |_: &Endpoint, _| -> Dialing {
            let connector = Arc::clone(&connector);
            Box::pin(async move { Ok(Box::new(connector.connect()?) as Box<dyn Stream>) })
        };
        Self {
            dial: Box::new(dial),
            ..served
        }
    }

    fn with_tls(served: impl FnOnce(TlsConfig) -> Self) -> Self {
        let (server, client) = tls::server_and_client();
        let served = served(server);
        let inner = served.dial;
        let dial = move |endpoint: &Endpoint, version| -> Dialing {
            let (inner, handshake) = (inner(endpoint, version), client(version));
            Box::pin(async move { Ok(Box::new(handshake(inner.await?).await?) as Box<dyn Stream>) })
        };
        Self {
            dial: Box::new(dial),
            ..served
        }
    }

    pub(crate) async fn connect(&self, version: Version) -> Box<dyn Stream> {
        let endpoint = self.endpoint.as_ref().unwrap();
        (self.dial)(endpoint, version).await.unwrap()
    }

    /// Drains the server. Connected clients must finish within the grace.
    pub(crate) async fn drain(self) {
        match self.served_by {
            ServedBy::NotStarted(_) => {}
            ServedBy::Anyport(handle) => {
                let report = handle.shutdown(Duration::from_secs(60)).await.unwrap();
                assert_eq!(report.aborted, 0, "{report}");
            }
            ServedBy::Axum(stop, serving) => {
                drop(stop);
                serving.await.unwrap().unwrap();
            }
        }
    }
}

fn bind() -> TcpListener {
    let listener = net::TcpListener::bind(LOCAL).unwrap();
    listener.set_nonblocking(true).unwrap();
    TcpListener::from_std(listener).unwrap()
}

fn dial(endpoint: &Endpoint, _: Version) -> Dialing {
    let endpoint = endpoint.clone();
    Box::pin(async move {
        Ok(match endpoint {
            Endpoint::Tcp(addr) => Box::new(TcpStream::connect(addr).await?) as Box<dyn Stream>,
            Endpoint::Unix(UnixName::Path(path)) => Box::new(UnixStream::connect(path).await?),
            other => panic!("no client for the endpoint {other}"),
        })
    })
}
