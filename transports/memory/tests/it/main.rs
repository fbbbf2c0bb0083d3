//! The crate's own tests, linked into one program, so that they run at the same time. Tests that
//! count or change the resources of the process are programs of their own, beside this folder.

mod body_gap;
mod corpus;
mod draining;
mod fixture;
mod half_close;
mod hibernation;
mod pipelined;
mod splits;
mod timeouts;
mod tracing;
