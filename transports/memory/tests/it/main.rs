//! The crate's own tests, in one program: they're linked once, and run beside each other. Those
//! that count what the process has, or change it, are programs of their own beside this folder.

mod body_gap;
mod corpus;
mod deadlines;
mod draining;
mod half_close;
mod hibernation;
mod pipelined;
mod scene;
mod splits;
mod tracing;
