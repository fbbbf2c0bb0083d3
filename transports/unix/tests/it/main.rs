//! The crate's own tests, in one program: they're linked once, and run beside each other. Those
//! that count what the process has, or change it, are programs of their own beside this folder.
#![cfg(unix)]

mod access;
mod bad_input;
mod paths;
#[path = "../scene/mod.rs"]
mod scene;
mod size;
#[cfg(target_os = "linux")]
mod stop;
