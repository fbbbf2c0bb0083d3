#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
