//! `cargo xtask bench` from outside: what's wrong costs a row, and whatever ends the bench, no server is left behind.
//!
//! Real servers would take minutes to build. So this binary plays cargo (`CARGO` leads to it), which says that it has built this binary, which
//! plays the servers, too: what one does wrong is in `STAND_IN`.
#![cfg_attr(
    target_os = "linux",
    expect(clippy::unwrap_used, reason = "a test that can't go on should stop")
)]

#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod counted;
#[cfg(target_os = "linux")]
mod stand_in;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("metadata") => stand_in::metadata(&arguments),
        Some("build") => stand_in::build(&arguments),
        Some(stand_in::COMPILER) => stand_in::compile(),
        Some(stand_in::WITHOUT_IO_URING) => stand_in::without_io_uring(&arguments[1..]),
        _ => match arguments.iter().position(|argument| argument == "--listen") {
            Some(at) => stand_in::serve(&arguments, &arguments[at + 1]),
            None => {
                let trials = cases::all().into_iter().chain(counted::all()).collect();
                libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
            }
        },
    }
}
