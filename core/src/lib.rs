//! The traits and the engine of [anyport](https://docs.rs/anyport): one tower app, any transport.
//!
//! Four axes, one trait each; every combination works, and the compiler rejects the ones that can't:
//!
//! | axis | trait | says |
//! |---|---|---|
//! | transport | [`Transport`], [`Listener`], [`Connection`] | where bytes come from |
//! | protocol | [`Protocol`] | what they mean: HTTP, or raw bytes |
//! | app | [`App`] | who answers: any tower service |
//! | runtime | [`Runtime`] | who polls it all |
//!
//! [`serve_with`] joins them into a [`Server`]. This crate names no runtime unless its feature `tokio` is on; transports are crates of
//! their own.
mod app;
mod body;
mod config;
mod connection;
mod endpoint;
pub mod engine;
mod error;
pub mod http;
mod info;
mod listener;
pub mod observe;
mod peer_cred;
mod protocol;
pub mod runtime;
mod server;
pub mod shutdown;
#[cfg(feature = "socket")]
pub mod socket;
mod spawn;
pub mod thread_bound;
mod tls_info;
mod transport;
mod worker;

#[cfg(any(feature = "http1", feature = "http2"))]
pub use self::http::Upgraded;
pub use app::{Answers, App, AppError, HttpResponse, HttpService, PerWorker, ResponseBody, per_worker};
pub use body::Body;
#[doc(hidden)]
pub use body::Piece;
pub use config::{HttpOptions, HttpVersions, Limits, Timeouts};
pub use connection::{Conn, Connection, PeerState};
pub use endpoint::{Endpoint, UnixName};
pub use engine::{Accepted, ConnContext, Permit};
pub use error::{Blame, BoxError, Error, ErrorKind, Result};
pub use info::ConnInfo;
pub use listener::{AcceptErrorKind, Incoming, Listener, ListenerFn, listener_fn};
pub use observe::{Event, Observer};
pub use peer_cred::PeerCred;
pub use protocol::{Protocol, Raw};
pub use runtime::Runtime;
#[doc(hidden)]
pub use server::Part;
pub use server::{
    Drain, DrainReport, Drives, Handle, OpenConnections, Serve, ServedOver, Server, Serves, SpokenOver, Wait,
    serve_protocol_with, serve_raw_with, serve_with,
};
pub use spawn::spawn;
#[doc(no_inline)]
pub use thread_bound::{LocalStream, ThreadBound, ThreadBoundStream};
pub use tls_info::{TlsInfo, TlsVersion};
pub use transport::Transport;
pub use worker::{Worker, Workers};

/// For this crate's macros.
#[doc(hidden)]
pub mod __private {
    pub use hyper::rt::{Read, ReadBufCursor, Write};
}
