//! Clients that send many requests and read no response: descriptors and threads stay within the
//! limit.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod fixture;

use anyport_core::serve_with;
use anyport_testkit::non_reading_clients::clients_that_read_nothing;
use fixture::one_worker;

fn non_reading_clients_stay_within_the_limit() {
    clients_that_read_nothing("non_reading_clients_stay_within_the_limit", |app| {
        serve_with(one_worker(), app)
    });
}

anyport_testkit::tests_unless!(fixture::unavailable(); blocking non_reading_clients_stay_within_the_limit);
