//! More events at once than a ring holds.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod scene;

use anyport_core::{Limits, serve_with};
use anyport_monoio::Driver;
use anyport_testkit::{burst::all_at_once, process::allow_descriptors};
use scene::one;

/// A ring takes 1,024 operations at once and holds 8,192 completions (`src/driver.rs`).
const CLIENTS: usize = 8500;

/// The kernel puts aside what the ring has no room for, and a full queue of operations is submitted
/// before more are queued.
async fn events_that_the_ring_has_no_room_for_are_not_lost() {
    allow_descriptors(2 * CLIENTS as u64 + 200);
    let limits = Limits::default().with_connections(2 * CLIENTS);
    all_at_once(
        |app| serve_with(one(Driver::IoUring), app).limits(limits),
        CLIENTS,
    )
    .await;
}

anyport_testkit::tests_unless!(scene::missing(); events_that_the_ring_has_no_room_for_are_not_lost);
