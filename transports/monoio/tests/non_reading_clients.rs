//! Clients that send many requests and read no response: descriptors stay within the limit, and no
//! operation sleeps in an io-wq thread.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

mod fixture;

use anyport_core::serve_with;
use anyport_monoio::Driver;
use anyport_testkit::non_reading_clients::clients_that_read_nothing;
use fixture::one_worker;

fn non_reading_clients_stay_within_the_limit_with_io_uring() {
    clients_that_read_nothing(
        "non_reading_clients_stay_within_the_limit_with_io_uring",
        |app| serve_with(one_worker(Driver::IoUring), app),
    );
}

fn non_reading_clients_stay_within_the_limit_with_epoll() {
    clients_that_read_nothing(
        "non_reading_clients_stay_within_the_limit_with_epoll",
        |app| serve_with(one_worker(Driver::Epoll), app),
    );
}

anyport_testkit::tests_unless!(fixture::unavailable(); blocking non_reading_clients_stay_within_the_limit_with_io_uring, blocking non_reading_clients_stay_within_the_limit_with_epoll);
