//! **One tower app, any transport.** anyport serves a `tower::Service`, such as an axum `Router`,
//! over whatever carries the bytes: TCP, Unix sockets, TLS, io_uring, memory, or a transport of
//! your own. Changing the transport changes one expression.
//!
//! ```no_run
//! use anyport::{Tcp, runtime::shutdown, serve_with};
//! use axum::{Router, routing::get};
//!
//! #[tokio::main]
//! async fn main() -> anyport::Result<()> {
//!     tracing_subscriber::fmt().init(); // prints the server's log
//!     let app = Router::new().route("/", get(|| async { "Hello, World!" }));
//!     serve_with(Tcp::bind("127.0.0.1:3000"), app) // or another transport
//!         .with_graceful_shutdown(shutdown::signal())
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! [`serve_with`] returns a [`Server`]. You configure it, and then `.await`, [run](Server::run) or
//! [start](Server::start) it:
//!
//! | you want to | see |
//! |---|---|
//! | limit connections, heads and streams | [`Limits`] |
//! | limit how long a peer or the app may take | [`Timeouts`] |
//! | end without losing a request | [graceful shutdown](Server::with_graceful_shutdown), [`Handle::shutdown`] |
//! | end event streams and long polls in a drain | [`Drain`](transport::Drain) |
//! | know the peer of a request | [`ConnInfo`], or the extractors in [`axum`](mod@axum) |
//! | read the server's log, or count its events | [`observe`] |
//! | serve HTTPS | [`tls`] |
//! | serve WebSockets | [`ws`] |
//! | open WebSockets | [`ws::ClientHandshake`] |
//! | know the client behind a balancer | [`proxy_protocol`] |
//! | serve the raw bytes of a connection | [`serve_raw_with`] |
//! | keep state per worker, without a lock | [`per_worker`] |
//! | write a transport | [`transport`], [`Transport`] |
//!
//! # Transports
//!
//! | transport | carries | the app |
//! |---|---|---|
//! | [`Tcp`] | TCP, on the tokio that the server is started in | must be `Send` |
//! | [`Tcp`], [`per_core`](socket::TcpTransport::per_core) | TCP, on a single-threaded tokio per core | may be `!Send` |
//! | [`Unix`] | Unix sockets, with peer credentials | as with `Tcp`, also per core |
//! | [`Memory`] | connections inside the process, for tests | as with `Tcp`, also per core |
//! | [`Monoio`], [`MonoioUnix`] | TCP and Unix sockets by io_uring, on a thread per core; Linux | may be `!Send` |
//! | [`Glommio`], [`GlommioUnix`] | TCP and Unix sockets on glommio, on a thread per core; Linux | may be `!Send` |
//! | [`.tls(..)`](tls::TlsExt) on any of them | TLS 1.2 and 1.3 | as over the inner transport |
//! | [`.proxy_protocol(..)`](proxy_protocol::ProxyProtocolExt) on any of them | the client behind a balancer | as over the inner transport |
//! | [`axum::transport`] | any listener of `axum::serve` | must be `Send` |
//! | your own [`Transport`] | anything | as the runtime requires |
//!
//! A combination that cannot work, such as an app with an `Rc` on a runtime that moves tasks
//! between threads, does not compile.
//!
//! # Features
//!
//! `tcp`, `tokio`, `shutdown`, `http1` and `http2` are on by default. An item that needs another
//! feature says so.
//!
//! | feature | what it adds |
//! |---|---|
//! | `tcp` | [`Tcp`] |
//! | `unix` | [`Unix`] |
//! | `memory` | [`Memory`] |
//! | `monoio` | [`Monoio`], [`MonoioUnix`]; only on Linux |
//! | `glommio` | [`Glommio`], [`GlommioUnix`]; only on Linux |
//! | `tls` | [`tls`], with the cryptography of ring |
//! | `tls-aws-lc-rs` | [`tls`], with the cryptography of aws-lc-rs |
//! | `tls-platform-roots` | [`Roots::platform`](tls::Roots::platform): the root certificates of the system, for clients |
//! | `tls-self-signed` | [`TlsConfig::self_signed`](tls::TlsConfig::self_signed): certificates for development |
//! | `tokio` | tokio for the app on every transport, and the tokio runtimes |
//! | `shutdown` | [`shutdown::signal`](runtime::shutdown::signal); the feature of each transport turns this one on |
//! | `http1` | HTTP/1.0 and HTTP/1.1 |
//! | `http2` | HTTP/2, on the same port |
//! | `axum` | [`axum`](mod@axum): extractors |
//! | `axum-serve` | `axum::serve` over anyport's transports ([`axum::listener`]), and anyport over its listeners ([`axum::transport`]) |
//! | `client` | [`client`]: an HTTP client with a pool, over any transport |
//! | `client-https` | [`Client::new`](client::Client::new): HTTP and HTTPS over TCP |
//! | `connect` | [`connect`]: connects to a host by its name, over any transport |
//! | `connect-hickory` | [`connect::HickoryResolver`]: the same, with lookups by hickory-resolver |
//! | `proxy-protocol` | [`proxy_protocol`] |
//! | `ws` | [`ws`]: WebSockets over HTTP/1.1 and HTTP/2 |
//! | `ws-deflate` | compressed WebSocket messages ([`ws::Deflate`]) |
//! | `ws-client` | [`ws::ClientHandshake`]: opens WebSockets over any connection |
//! | `tracing` | each server logs to `tracing`, unless [`Server::without_logging`] |
//! | `full` | all of the above |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    docsrs,
    expect(
        unexpected_cfgs,
        reason = "features of other crates, which have other names here"
    ),
    doc(auto_cfg(hide(
        feature = "aws-lc-rs",
        feature = "client",
        feature = "deflate",
        feature = "https",
        feature = "ring",
        feature = "self-signed",
        feature = "serve",
        feature = "socket"
    )))
)]

pub use anyport_core::{
    App, Body, ConnInfo, Connection, Error, Handle, HttpOptions, Limits, Listener, Protocol,
    Result, Runtime, Server, Timeouts, Transport, per_worker, serve_raw_with, serve_with,
};

#[cfg(all(feature = "glommio", target_os = "linux"))]
pub use anyport_glommio::{Glommio, GlommioUnix};
#[cfg(feature = "memory")]
pub use anyport_memory::Memory;
#[cfg(all(feature = "monoio", target_os = "linux"))]
pub use anyport_monoio::{Monoio, MonoioUnix};
#[cfg(feature = "tcp")]
pub use anyport_tcp::Tcp;
#[cfg(all(feature = "unix", unix))]
pub use anyport_unix::Unix;

pub use ::http::{Request, Response};
pub use tower::service_fn;

/// The crate of the HTTP types: `StatusCode`, `header` and the rest.
#[doc(no_inline)]
pub use ::http;
#[doc(inline)]
pub use anyport_core::{bounds, error, observe, protocol};

#[cfg(feature = "axum")]
#[doc(inline)]
pub use anyport_axum as axum;

#[cfg(feature = "client")]
#[doc(inline)]
pub use anyport_client as client;

#[cfg(feature = "connect")]
#[doc(inline)]
pub use anyport_connect as connect;

#[cfg(any(
    feature = "glommio",
    feature = "monoio",
    feature = "tcp",
    feature = "unix"
))]
#[doc(inline)]
pub use anyport_core::socket;

#[cfg(feature = "proxy-protocol")]
#[doc(inline)]
pub use anyport_proxy_protocol as proxy_protocol;

#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs"))]
#[doc(inline)]
pub use anyport_tls as tls;

#[cfg(feature = "ws")]
#[doc(inline)]
pub use anyport_ws as ws;

pub mod runtime {
    //! Runtimes, their workers, tasks, and the signals that shut a server down.
    //!
    //! A transport names its [`Runtime`], so programs seldom do. They use [`shutdown::signal`],
    //! [`spawn`] for a task on the current worker, [`Worker`] in
    //! [`per_worker`](crate::per_worker), and [`TokioIo`]. Authors of runtimes implement
    //! [`Runtime`] and [`Launch`]; [`local`] has the parts of one with a thread per core.
    pub use anyport_core::runtime::*;
    /// Gives a connection tokio's `AsyncRead` and `AsyncWrite`, and a tokio stream hyper's `Read`
    /// and `Write`.
    #[cfg(any(
        feature = "glommio",
        feature = "memory",
        feature = "monoio",
        feature = "tcp",
        feature = "unix"
    ))]
    pub use hyper_util::rt::TokioIo;
}

pub mod transport {
    //! What authors of transports implement and use, and the parts of anyport's own transports.
    //!
    //! A [`Transport`] describes where to listen. Each worker gets a [`Listener`] from it, which
    //! accepts connections and never waits for a peer: a handshake is a future of its own. The
    //! result of the handshake is a [`Connection`], a byte stream with its [`ConnInfo`]; [`Conn`]
    //! makes one from any stream. [`listener_fn`] makes a listener from an async function. A
    //! connection that is not a byte stream implements [`Connected`] instead.
    //!
    //! Apps use [`ConnInfo`] and its parts, [`Endpoint`], and [`Drain`].
    pub use anyport_core::transport::*;

    #[cfg(all(feature = "glommio", target_os = "linux"))]
    #[doc(inline)]
    pub use anyport_glommio as glommio;
    #[cfg(feature = "memory")]
    #[doc(inline)]
    pub use anyport_memory as memory;
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    #[doc(inline)]
    pub use anyport_monoio as monoio;
    #[cfg(feature = "tcp")]
    #[doc(inline)]
    pub use anyport_tcp as tcp;
    #[cfg(all(feature = "unix", unix))]
    #[doc(inline)]
    pub use anyport_unix as unix;
}
