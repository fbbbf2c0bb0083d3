//! WebSockets in memory, with a client that sends any bytes.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod axum;
mod client;
mod closing;
mod deflate;
mod drain;
mod faults;
mod fixture;
mod handshake;
mod http2;
mod messages;
mod split;
