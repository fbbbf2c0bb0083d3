//! TCP and Unix sockets on monoio for [anyport](https://docs.rs/anyport): one thread and one
//! io_uring per core. Linux only.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn main() -> anyport_core::Result<()> {
//! use anyport_core::{Body, serve_with};
//! use anyport_monoio::Monoio;
//! use http::{Request, Response};
//! use std::convert::Infallible;
//!
//! let app = tower::service_fn(|_: Request<Body>| async {
//!     Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
//! });
//! serve_with(Monoio::bind("127.0.0.1:3000"), app).run()?;
//! # Ok(()) }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg(target_os = "linux")]

mod acceptor;
mod buffer;
mod connection;
mod connector;
mod deferred_release;
mod driver;
mod io_uring_support;
mod reader;
mod reusable_op;
mod runtime;
mod send_queue;
mod stream;
mod tick;
mod writability;
mod write_half;
mod writer;

pub use acceptor::MonoioAcceptor;
pub use connection::MonoioConnection;
pub use connector::{MonoioConnector, MonoioDial};
pub use driver::Driver;
pub use runtime::MonoioPerCore;

use anyport_core::socket::{
    ReadinessTcpListener, ReadinessUnixListener, TcpTransport, unix::UnixTransport,
};

/// TCP on monoio: each worker has a thread, a ring (io_uring) and a socket of its own
/// (SO_REUSEPORT).
///
/// Nothing moves between threads, so the app may be `!Send` (`per_worker(..)`). Where io_uring is
/// refused, the workers wait with epoll; see [`Driver`].
///
/// ```
/// # use anyport_monoio::{Driver, Monoio};
/// # use std::time::Duration;
/// let per_core = Monoio::bind("127.0.0.1:3000").with_keepalive(Duration::from_secs(60));
/// let two_workers = Monoio::bind(3000).with_workers(2);
/// let never_epoll = Monoio::bind(3000).with_driver(Driver::IoUring);
/// ```
pub type Monoio = TcpTransport<MonoioPerCore, MonoioListener>;

/// A listening TCP socket on one worker.
pub type MonoioListener = ReadinessTcpListener<MonoioAcceptor>;

/// Unix sockets on monoio: each worker has a thread and a ring (io_uring). All workers accept on
/// duplicates of one socket. The rest is as with [`Monoio`].
///
/// ```
/// # use anyport_monoio::MonoioUnix;
/// let group_only = MonoioUnix::bind("/run/app.sock").with_mode(0o660);
/// ```
pub type MonoioUnix = UnixTransport<MonoioPerCore, MonoioUnixListener>;

/// A listening Unix socket on one worker.
pub type MonoioUnixListener = ReadinessUnixListener<MonoioAcceptor>;
