//! More events at once than a ring holds.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod scene;

use anyport_core::serve_with;
use anyport_testkit::{burst::all_at_once, process::allow_descriptors};
use scene::one;

/// A ring of 1,024 operations holds 2,048 completions.
const CLIENTS: usize = 3000;

async fn events_that_the_ring_has_no_room_for_are_not_lost() {
    allow_descriptors(2 * CLIENTS as u64 + 200);
    all_at_once(|app| serve_with(one(), app), CLIENTS).await;
}

anyport_testkit::tests_unless!(scene::missing(); events_that_the_ring_has_no_room_for_are_not_lost);
