//! Servers that mix runtimes: several transports, each on its own, with one handle, one limit and
//! one drain.
//!
//! Each test covers all [`transports`] of the enabled features, together or in pairs. `cargo test
//! --workspace --all-features` enables all of them.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod app;
mod client;
mod drain;
mod ends;
mod fault;
mod server;
mod serving;
#[cfg(target_os = "linux")]
mod start;
mod transports;

use std::time::Duration;

/// Upper bound of every wait. Only a test that hangs reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The grace of a drain that ends earlier.
const GRACE: Duration = Duration::from_secs(60);
