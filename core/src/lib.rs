//! The traits and the engine of [anyport](https://docs.rs/anyport): one tower app, any transport.
//!
//! Four axes, one trait each; every combination works, and the compiler rejects the ones that
//! can't:
//!
//! | axis | trait | says |
//! |---|---|---|
//! | transport | [`Transport`], [`Listener`], [`Connection`] | where bytes come from |
//! | protocol | [`Protocol`] | what they mean: HTTP, or raw bytes |
//! | app | [`App`] | who answers: any tower service |
//! | runtime | [`Runtime`] | who polls it all |
//!
//! [`serve_with`] joins them into a [`Server`]. This crate names no runtime unless its feature
//! `tokio` is on; transports are crates of their own.
mod app;
mod config;
pub mod engine;
mod error;
pub mod http;
pub mod observe;
pub mod runtime;
mod server;
#[cfg(feature = "socket")]
pub mod socket;
mod transport;

#[cfg(any(feature = "http1", feature = "http2"))]
pub use self::http::Upgraded;
#[doc(hidden)]
pub use app::Piece;
pub use app::{
    Answers, App, AppError, Body, HttpResponse, HttpService, PerWorker, ResponseBody, per_worker,
};
pub use config::{HttpOptions, HttpVersions, Limits, Timeouts};
pub use engine::{Accepted, ConnContext, Protocol, Raw};
pub use error::{Blame, BoxError, Error, ErrorKind, Result};
pub use observe::{DrainReport, Event, Observer, OpenConnections};
#[doc(no_inline)]
pub use runtime::ThreadBound;
#[cfg(feature = "tokio")]
pub use runtime::shutdown;
pub use runtime::{Runtime, Worker, Workers, spawn};
#[doc(hidden)]
pub use server::Part;
pub use server::{
    Drives, Handle, Serve, ServedOver, Server, Serves, SpokenOver, Wait, serve_protocol_with,
    serve_raw_with, serve_with,
};
pub use transport::{
    AcceptErrorKind, ByteListener, ByteTransport, Close, Conn, ConnInfo, Connected, Connection,
    Drain, Endpoint, Incoming, Listener, ListenerFn, LocalStream, PeerCred, PeerState, Permit,
    ThreadBoundStream, TlsInfo, TlsVersion, Transport, UnixName, listener_fn,
};

/// What a runtime with a thread per core needs: `Send` handles of values that stay on their thread,
/// and streams that can be used on any.
pub mod thread_bound {
    pub use crate::{
        runtime::thread_bound::{ThreadBound, drop_all, poll_mail},
        transport::{LocalStream, ThreadBoundStream},
    };
}

/// For this crate's macros.
#[doc(hidden)]
pub mod __private {
    pub use hyper::rt::{Read, ReadBufCursor, Write};
}
