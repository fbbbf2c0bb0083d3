//! What the tests share: an app, a client, and a server of one worker.
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

use anyport_core::Runtime as _;
use anyport_glommio::{Glommio, GlommioPerCore};
pub(crate) use anyport_testkit::scene::{
    GRACE, PATIENCE, addr_of, connect, descriptors, get, hello, until,
};

/// One worker.
pub(crate) fn one() -> Glommio {
    Glommio::bind("127.0.0.1:0").with_workers(1)
}

/// Why these tests can't be run on this machine, if that's so.
pub(crate) fn missing() -> Option<String> {
    GlommioPerCore::check().err().map(|error| error.to_string())
}
