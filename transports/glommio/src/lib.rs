//! TCP and Unix sockets on glommio for [anyport](https://docs.rs/anyport): one thread and one
//! executor per core, with readiness from io_uring. Linux only.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn main() -> anyport_core::Result<()> {
//! use anyport_core::{Body, per_worker, serve_with};
//! use anyport_glommio::Glommio;
//! use http::{Request, Response};
//! use std::{cell::Cell, convert::Infallible, rc::Rc};
//!
//! let app = per_worker(|_: &anyport_core::runtime::Worker| {
//!     let seen = Rc::new(Cell::new(0));
//!     tower::service_fn(move |_: Request<Body>| {
//!         seen.set(seen.get() + 1);
//!         let body = Body::from(format!("request {} of this worker", seen.get()));
//!         async move { Ok::<_, Infallible>(Response::new(body)) }
//!     })
//! });
//! serve_with(Glommio::bind("127.0.0.1:3000"), app).run()?;
//! # Ok(()) }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg(target_os = "linux")]

mod acceptor;
mod connection;
mod connector;
mod io_uring_support;
mod readiness;
mod runtime;
mod stream;
mod worker_timer;

pub use acceptor::GlommioAcceptor;
pub use connection::GlommioConnection;
pub use connector::{GlommioConnector, GlommioDial};
pub use runtime::GlommioPerCore;

use anyport_core::socket::{
    ReadinessTcpListener, ReadinessUnixListener, TcpTransport, unix::UnixTransport,
};

/// TCP on glommio: each worker has a thread, an executor and a socket of its own (SO_REUSEPORT).
///
/// Nothing moves between threads, so the app may be `!Send` (`per_worker(..)`). glommio needs
/// io_uring, and the right to lock 512 KiB of memory (RLIMIT_MEMLOCK). Without either the server
/// does not start.
///
/// ```
/// # use anyport_glommio::Glommio;
/// # use std::time::Duration;
/// let per_core = Glommio::bind("127.0.0.1:3000").with_keepalive(Duration::from_secs(60));
/// let two_workers = Glommio::bind(3000).with_workers(2);
/// ```
pub type Glommio = TcpTransport<GlommioPerCore, GlommioListener>;

/// A listening TCP socket on one worker.
pub type GlommioListener = ReadinessTcpListener<GlommioAcceptor>;

/// Unix sockets on glommio: each worker has a thread and an executor. All workers accept on
/// duplicates of one socket.
///
/// ```
/// # use anyport_glommio::GlommioUnix;
/// let group_only = GlommioUnix::bind("/run/app.sock").with_mode(0o660);
/// ```
pub type GlommioUnix = UnixTransport<GlommioPerCore, GlommioUnixListener>;

/// A listening Unix socket on one worker.
pub type GlommioUnixListener = ReadinessUnixListener<GlommioAcceptor>;
