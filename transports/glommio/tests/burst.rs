//! More completions at once than a ring holds.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod fixture;

use anyport_core::serve_with;
use anyport_testkit::{burst::all_at_once, process::set_descriptor_limit};
use fixture::one_worker;

/// A ring with 1,024 submission entries holds 2,048 completions.
const CLIENTS: usize = 3000;

async fn completion_queue_overflow_loses_no_events() {
    set_descriptor_limit(2 * CLIENTS as u64 + 200);
    all_at_once(|app| serve_with(one_worker(), app), CLIENTS).await;
}

anyport_testkit::tests_unless!(fixture::unavailable(); completion_queue_overflow_loses_no_events);
