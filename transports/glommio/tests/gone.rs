//! Clients that ask for much and read nothing: descriptors and threads stay within the limit.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod scene;

use anyport_core::serve_with;
use anyport_testkit::gone::clients_that_read_nothing;
use scene::one;

fn clients_that_read_nothing_stay_within_the_limit() {
    clients_that_read_nothing("clients_that_read_nothing_stay_within_the_limit", |app| {
        serve_with(one(), app)
    });
}

anyport_testkit::tests_unless!(scene::missing(); blocking clients_that_read_nothing_stay_within_the_limit);
