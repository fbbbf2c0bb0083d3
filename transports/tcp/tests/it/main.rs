//! The crate's own tests, in one program: they're linked once, and run beside each other. Those
//! that count what the process has, or change it, are programs of their own beside this folder.

mod bind;
mod drain_under_load;
mod faults;
mod lame_duck;
mod multiplexed;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod own_runtime;
#[path = "../scene/mod.rs"]
mod scene;
mod size;
#[path = "../stage/mod.rs"]
mod stage;
mod stop;
