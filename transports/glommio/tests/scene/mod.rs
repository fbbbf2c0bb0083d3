//! What the tests share: an app, a client, and a server of one worker.
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

use anyport_glommio::Glommio;
pub(crate) use anyport_testkit::scene::{GRACE, PATIENCE, addr_of, connect, descriptors, get, hello, until};

/// One worker.
pub(crate) fn one() -> Glommio {
    Glommio::bind("127.0.0.1:0").with_workers(1)
}
