//! Servers that mix runtimes: several transports, each on its own, under one handle, one limit and
//! one drain.
//!
//! Each test is about all of [`parts`] at once, or about each of them next to another. Those of a
//! feature that's off aren't among them: all of them are in
//! `cargo test --workspace --all-features`.
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
mod parts;
mod serving;
mod site;
#[cfg(target_os = "linux")]
mod start;

use std::time::Duration;

/// Nothing here takes nearly so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// The grace of a drain that's to end before.
const GRACE: Duration = Duration::from_secs(20);
