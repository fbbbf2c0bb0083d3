//! The wrapper of docs/write-a-wrapper.md passes the suite, as its inner transport does.

#[path = "../../guide/wrapper.rs"]
#[expect(unreachable_pub, reason = "the page shows the root of a crate")]
mod own_wrapper;

include!("../../guide/wrapper_behaviour.rs");
