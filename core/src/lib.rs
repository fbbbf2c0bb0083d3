//! The traits and the server engine of [anyport](https://docs.rs/anyport): one tower app, any
//! transport.
//!
//! A server has four parts. Each part has a trait, and comes from any crate. A combination that
//! cannot work, such as a `!Send` app on a runtime that moves tasks between threads, does not
//! compile.
//!
//! | part | trait | role |
//! |---|---|---|
//! | transport | [`Transport`], with [`Listener`] and [`Connection`] | produces connections |
//! | protocol | [`Protocol`] | turns a connection into a task: HTTP, or a raw handler |
//! | app | [`App`] | answers requests: any tower service |
//! | runtime | [`Runtime`] | polls all of it |
//!
//! [`serve_with`] joins a transport and an app into a [`Server`]. This crate depends on no runtime
//! unless its feature `tokio` is on. Transports are crates of their own.
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
