//! The transports that a server may combine.
use crate::{
    client::Client,
    fault::{Fault, Faulty},
};
use anyport::{
    Memory, Server, Tcp, Transport, Unix,
    bounds::AppOver,
    serve_with,
    transport::{Endpoint, UnixName, memory::MemoryConnector},
};
use axum::Router;
use std::path::Path;
use tokio::net::{TcpStream, UnixStream};

/// One transport on its runtime.
pub(crate) struct MixedTransport {
    pub(crate) name: &'static str,
    /// Adds the transport to a server, or starts a new server with it. The folder is for socket
    /// files.
    pub(crate) add: fn(Option<Server>, &Path, Router) -> (Server, Dial),
}

/// How a client connects.
pub(crate) enum Dial {
    Endpoint,
    Memory(MemoryConnector),
}

const LOCAL: &str = "127.0.0.1:0";

/// Every transport. Those with threads of their own have two workers.
pub(crate) const TRANSPORTS: &[MixedTransport] = &[
    transport("tcp", |server, _, app| with(server, Tcp::bind(LOCAL), app)),
    transport("tcp per core", |server, _, app| {
        with(server, Tcp::bind(LOCAL).per_core().with_workers(2), app)
    }),
    transport("unix", |server, folder, app| {
        with(server, Unix::bind(folder.join("tokio.sock")), app)
    }),
    transport("memory", |server, _, app| {
        let memory = Memory::new();
        let connector = memory.connector();
        (with(server, memory, app).0, Dial::Memory(connector))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    transport("monoio", |server, _, app| {
        with(server, anyport::Monoio::bind(LOCAL).with_workers(2), app)
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    transport("monoio on epoll", |server, _, app| {
        let driver = anyport::transport::monoio::Driver::Epoll;
        let monoio = anyport::Monoio::bind(LOCAL).with_workers(2);
        with(server, monoio.with_driver(driver), app)
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    transport("monoio unix", |server, folder, app| {
        let path = folder.join("monoio.sock");
        with(server, anyport::MonoioUnix::bind(path).with_workers(2), app)
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    transport("glommio", |server, _, app| {
        with(server, anyport::Glommio::bind(LOCAL).with_workers(2), app)
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    transport("glommio unix", |server, folder, app| {
        let path = folder.join("glommio.sock");
        with(
            server,
            anyport::GlommioUnix::bind(path).with_workers(2),
            app,
        )
    }),
];

/// Adds a transport with a fault.
pub(crate) type AddFaulty = fn(Server, Fault, Router) -> Server;

/// One transport for each runtime, by name.
pub(crate) const FAULTY: &[(&str, AddFaulty)] = &[
    ("tcp", |server, fault, app| {
        server.and(Faulty(Tcp::bind(LOCAL), fault), app)
    }),
    ("tcp per core", |server, fault, app| {
        server.and(
            Faulty(Tcp::bind(LOCAL).per_core().with_workers(2), fault),
            app,
        )
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    ("monoio", |server, fault, app| {
        server.and(
            Faulty(anyport::Monoio::bind(LOCAL).with_workers(2), fault),
            app,
        )
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    ("glommio", |server, fault, app| {
        server.and(
            Faulty(anyport::Glommio::bind(LOCAL).with_workers(2), fault),
            app,
        )
    }),
];

const fn transport(
    name: &'static str,
    add: fn(Option<Server>, &Path, Router) -> (Server, Dial),
) -> MixedTransport {
    MixedTransport { name, add }
}

/// Adds a transport to a server, or starts a new server with it.
fn with<T>(server: Option<Server>, transport: T, app: Router) -> (Server, Dial)
where
    T: Transport,
    Router: AppOver<T>,
{
    let server = match server {
        Some(server) => server.and(transport, app),
        None => serve_with(transport, app),
    };
    (server, Dial::Endpoint)
}

impl Dial {
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Client {
        match (self, endpoint) {
            (Self::Memory(connector), _) => Client::new(connector.connect().unwrap()),
            (Self::Endpoint, Endpoint::Tcp(addr)) => {
                Client::new(TcpStream::connect(addr).await.unwrap())
            }
            (Self::Endpoint, Endpoint::Unix(UnixName::Path(path))) => {
                Client::new(UnixStream::connect(path).await.unwrap())
            }
            (Self::Endpoint, other) => panic!("no client for the endpoint {other}"),
        }
    }
}
