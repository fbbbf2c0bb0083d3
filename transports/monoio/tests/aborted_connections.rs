//! Ten thousand connections that clients abort mid-request leak no descriptor and no memory.
//!
//! The only test of its process, because it counts the process's descriptors and memory.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod fixture;

use anyport_core::serve_with;
use anyport_testkit::aborted_connections::ten_thousand_connections;
use fixture::{DRIVERS, one_worker};

async fn ten_thousand_aborted_connections_leak_nothing() {
    for driver in DRIVERS {
        println!("{driver}:");
        ten_thousand_connections(|app| serve_with(one_worker(driver), app), 0).await;
    }
}

anyport_testkit::tests_unless!(fixture::unavailable(); ten_thousand_aborted_connections_leak_nothing);
