//! The crate's own tests, in one program: they're linked once, and run beside each other. Those
//! that count what the process has, or change it, are programs of their own beside this folder.

mod extract;
mod fixture;
#[cfg(feature = "serve")]
mod serve;
