//! Each example as its user runs it: started on a free port, asked for real, ended by a signal.
//!
//! `cargo test` builds the examples before this; `cargo test --test smoke` alone doesn't.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod h2load;
mod hello;
mod others;
mod running;
mod tls;
