//! The transport of docs/write-a-transport.md passes the suite.
#![cfg(unix)]

#[path = "../../guide/transport.rs"]
#[expect(unreachable_pub, reason = "the page shows the root of a crate")]
mod own_transport;

include!("../../guide/behaviour.rs");
