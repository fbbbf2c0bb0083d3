//! The crate's own tests, linked into one program, so that they run at the same time. Tests that
//! count or change the resources of the process are programs of their own, beside this folder.

mod bind;
mod connector;
#[cfg(target_os = "linux")]
mod custom_runtime;
mod drain_under_load;
mod faults;
#[path = "../fixture/mod.rs"]
mod fixture;
mod lame_duck;
mod multiplexed;
#[cfg(target_os = "linux")]
mod options;
mod stop;
mod task_size;
#[path = "../test_server/mod.rs"]
mod test_server;
