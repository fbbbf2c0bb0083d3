//! TCP and Unix sockets on glommio for [anyport](https://docs.rs/anyport): a thread and an executor per core, readiness by io_uring. Linux only.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn main() -> anyport_core::Result<()> {
//! use anyport_core::{Body, per_worker, serve_with};
//! use anyport_glommio::Glommio;
//! use http::{Request, Response};
//! use std::{cell::Cell, convert::Infallible, rc::Rc};
//!
//! let app = per_worker(|_: &anyport_core::Worker| {
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
#![cfg(target_os = "linux")]

mod alarm;
mod connection;
mod listener;
mod requirements;
mod runtime;
mod stream;
mod transport;
mod unix_listener;
mod unix_transport;
mod watch;

pub use connection::GlommioConnection;
pub use listener::GlommioListener;
pub use runtime::GlommioPerCore;
pub use transport::Glommio;
pub use unix_listener::GlommioUnixListener;
pub use unix_transport::GlommioUnix;
