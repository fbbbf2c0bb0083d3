//! The crate's own tests: clients behind proxies, and faulty proxies.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod bad_peers;
#[path = "../../../../transports/tls/tests/client/mod.rs"]
mod client;
mod deadline;
mod facts;
mod limits;
mod server;
mod split;
mod tls;
mod trust;
