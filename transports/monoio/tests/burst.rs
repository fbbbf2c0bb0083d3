//! More completions at once than a ring holds.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod fixture;

use anyport_core::{Limits, serve_with};
use anyport_monoio::Driver;
use anyport_testkit::{burst::all_at_once, process::set_descriptor_limit};
use fixture::one_worker;

/// The submission queue has 1,024 entries and the completion queue 8,192 (`src/driver.rs`).
const CLIENTS: usize = 8500;

/// The kernel buffers completions that overflow, and a full submission queue is submitted before
/// more entries are pushed.
async fn completion_queue_overflow_loses_no_events() {
    set_descriptor_limit(2 * CLIENTS as u64 + 200);
    let limits = Limits::default().with_connections(2 * CLIENTS);
    all_at_once(
        |app| serve_with(one_worker(Driver::IoUring), app).limits(limits),
        CLIENTS,
    )
    .await;
}

anyport_testkit::tests_unless!(fixture::unavailable(); completion_queue_overflow_loses_no_events);
