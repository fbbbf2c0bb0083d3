//! Ten thousand connections that are cut in the middle of what they do: nothing of them stays.
//!
//! Alone in its process, whose descriptors and memory it counts.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod scene;

use anyport_core::serve_with;
use anyport_testkit::cut::ten_thousand_connections;
use scene::{DRIVERS, one};

async fn ten_thousand_connections_that_are_cut_leave_nothing_behind() {
    for driver in DRIVERS {
        println!("{driver}:");
        ten_thousand_connections(|app| serve_with(one(driver), app), 0).await;
    }
}

anyport_testkit::tests_unless!(scene::missing(); ten_thousand_connections_that_are_cut_leave_nothing_behind);
