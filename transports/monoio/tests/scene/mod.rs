//! What the tests share: an app, a client, and both drivers.
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

use anyport_monoio::{Driver, Monoio};
pub(crate) use anyport_testkit::scene::{
    GRACE, PATIENCE, addr_of, connect, descriptors, get, hello, until,
};

pub(crate) const DRIVERS: [Driver; 2] = [Driver::IoUring, Driver::Epoll];

/// One worker.
pub(crate) fn one(driver: Driver) -> Monoio {
    Monoio::bind("127.0.0.1:0")
        .with_driver(driver)
        .with_workers(1)
}

/// Why these tests can't be run on this machine, if that's so.
pub(crate) fn missing() -> Option<String> {
    Driver::IoUring.check().err().map(|error| error.to_string())
}
