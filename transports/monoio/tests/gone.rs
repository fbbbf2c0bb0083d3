//! Clients that ask for much and read nothing: descriptors stay within the limit, and no operation
//! sleeps in a thread of the kernel's.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod scene;

use anyport_core::serve_with;
use anyport_monoio::Driver;
use anyport_testkit::gone::clients_that_read_nothing;
use scene::one;

fn clients_that_read_nothing_stay_within_the_limit_with_io_uring() {
    clients_that_read_nothing(
        "clients_that_read_nothing_stay_within_the_limit_with_io_uring",
        |app| serve_with(one(Driver::IoUring), app),
    );
}

fn clients_that_read_nothing_stay_within_the_limit_with_epoll() {
    clients_that_read_nothing(
        "clients_that_read_nothing_stay_within_the_limit_with_epoll",
        |app| serve_with(one(Driver::Epoll), app),
    );
}

anyport_testkit::tests_unless!(scene::missing(); blocking clients_that_read_nothing_stay_within_the_limit_with_io_uring, blocking clients_that_read_nothing_stay_within_the_limit_with_epoll);
