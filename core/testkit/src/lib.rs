//! The behaviour suite of [anyport](https://docs.rs/anyport): one set of tests for every transport,
//! ours or yours.
//!
//! The test target of a transport, with `harness = false`, says how to make the transport and how
//! to connect to it:
//!
//! ```no_run
//! use anyport_core::{Endpoint, Transport};
//! use anyport_testkit::{Subject, Suite};
//! use std::{io, process::ExitCode};
//! # use anyport_core::{Conn, ConnInfo, Incoming, Listener, Result, Worker, runtime::Tokio};
//! # use hyper_util::rt::TokioIo;
//! # use tokio::io::DuplexStream;
//! # use std::{future::Ready, task::{Context, Poll}};
//! # #[derive(Clone)] struct Pipe;
//! # impl Pipe { fn new() -> Self { Self } async fn connect(_: &Endpoint) -> io::Result<DuplexStream> { todo!() } }
//! # impl Transport for Pipe {
//! #     type Runtime = Tokio; type Socket = (); type Listener = Pipe;
//! #     fn open(&self, _: usize) -> Result<Vec<()>> { todo!() }
//! #     fn endpoint(&self, _: &()) -> io::Result<Endpoint> { todo!() }
//! #     fn listen(&self, _: (), _: &Worker) -> io::Result<Pipe> { todo!() }
//! # }
//! # impl Listener for Pipe {
//! #     type Connection = Conn<TokioIo<DuplexStream>>; type Handshake = Ready<io::Result<Self::Connection>>;
//! #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> { todo!() }
//! # }
//!
//! struct MyPipe;
//!
//! impl Subject for MyPipe {
//!     const NAME: &str = "pipe";
//!     type Transport = Pipe;
//!     type Stream = DuplexStream;
//!
//!     fn transport(&self) -> Pipe {
//!         Pipe::new()
//!     }
//!
//!     async fn connect(&self, endpoint: &Endpoint) -> io::Result<DuplexStream> {
//!         Pipe::connect(endpoint).await
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     Suite::new().with(MyPipe).run()
//! }
//! ```
//!
//! Then `cargo test --test behaviour -- pipe::drain` runs some of the tests, and `--list` shows all
//! names. [`Subject::capabilities`] says what a transport cannot do. The tests that need it are
//! ignored, with the reason.
//!
//! These modules help with a transport's own tests:
//!
//! - [`scene`]: an app and a blocking client
//! - [`process`]: a server in a process of its own
//! - [`cut`]: ten thousand connections that are cut
//! - [`gone`]: clients that request much and read nothing
//! - [`burst`]: more events at once than a worker has room for
//! - [`watch`]: a transport that counts polls
//! - [`requirements`]: tests that not every machine can run
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on should stop, and say where"
)]

mod app;
mod cases;
mod client;
mod harness;
mod suite;

pub use harness::subject::{Capabilities, Capability, LocalSubject, Served, Subject};
pub use harness::{burst, requirements, scene, watch};
#[cfg(target_os = "linux")]
pub use harness::{cut, gone, process};
pub use suite::Suite;
