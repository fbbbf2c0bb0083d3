//! The crate's own tests, linked into one program, so that they run at the same time. Tests that
//! count or change the resources of the process are programs of their own, beside this folder.
#![cfg(unix)]

mod access;
mod bad_input;
mod connector;
#[path = "../fixture/mod.rs"]
mod fixture;
mod paths;
#[cfg(target_os = "linux")]
mod stop;
mod task_size;
