//! The server with the system's allocator, whose calls valgrind counts.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: std::alloc::System = std::alloc::System;

fn main() -> ExitCode {
    peer_trillium::run()
}
