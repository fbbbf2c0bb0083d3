//! The crate's own tests, linked into one program, so that they run at the same time. Tests that
//! count or change the resources of the process are programs of their own, beside this folder.

mod extract;
mod fixture;
#[cfg(feature = "serve")]
mod serve;
