//! Clients that send many requests and read no response: descriptors and threads stay within the
//! limit.
#![cfg(target_os = "linux")]

use anyport_core::serve_with;
use anyport_tcp::Tcp;
use anyport_testkit::non_reading_clients::clients_that_read_nothing;

#[test]
fn non_reading_clients_stay_within_the_limit() {
    clients_that_read_nothing("non_reading_clients_stay_within_the_limit", |app| {
        serve_with(Tcp::bind("127.0.0.1:0"), app)
    });
}
