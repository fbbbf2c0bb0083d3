//! Races on real sockets and, with the feature `hickory`, real lookups.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
#[cfg(feature = "hickory")]
mod hickory;
#[cfg(feature = "hickory")]
mod name_server;
mod sockets;
