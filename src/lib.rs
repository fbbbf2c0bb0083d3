#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use anyport_core::*;

/// For axum: handlers that know their connection, and `axum::serve` over any transport.
#[cfg(feature = "axum")]
pub use anyport_axum as for_axum;

/// TCP and Unix sockets on glommio: a thread and an executor per core, readiness by io_uring.
#[cfg(all(feature = "glommio", target_os = "linux"))]
pub use anyport_glommio::{self as glommio, Glommio, GlommioUnix};

/// Connections inside one process: apps tested without a network.
#[cfg(feature = "memory")]
pub use anyport_memory::{self as memory, Memory};

/// TCP and Unix sockets on monoio: io_uring, one ring per core; epoll where io_uring is refused.
#[cfg(all(feature = "monoio", target_os = "linux"))]
pub use anyport_monoio::{self as monoio, Monoio, MonoioUnix};

/// TCP on tokio: work stealing, or one runtime per core.
#[cfg(feature = "tcp")]
pub use anyport_tcp::{self as tcp, Tcp, listen};

/// TLS over any transport: TLS 1.2 and 1.3, by rustls.
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs"))]
pub use anyport_tls::{self as tls, Tls, TlsConfig, TlsExt};

/// TLS over TCP in one call.
#[cfg(all(any(feature = "tls", feature = "tls-aws-lc-rs"), feature = "tcp"))]
pub use anyport_tls::listen_secure;

/// Unix sockets on tokio: a path, or a name in Linux's abstract namespace.
#[cfg(all(feature = "unix", unix))]
pub use anyport_unix::{self as unix, Unix};

/// WebSockets on every transport: over HTTP/1.1 and HTTP/2, compressed if you like, closed when the
/// server drains.
#[cfg(feature = "ws")]
pub use anyport_ws as ws;

/// The crate of the HTTP types, and the ones that every app speaks.
#[doc(no_inline)]
pub use ::http::{self, Request, Response, StatusCode, header};
/// Gives a connection tokio's `AsyncRead` and `AsyncWrite`, and a tokio stream what a connection
/// needs.
#[cfg(any(
    feature = "glommio",
    feature = "memory",
    feature = "monoio",
    feature = "tcp",
    feature = "unix"
))]
pub use hyper_util::rt::TokioIo;
/// A tower service of an async function.
pub use tower::service_fn;
