//! `cargo xtask bench` from outside: whatever goes wrong costs a row, whatever ends the bench
//! leaves no server behind, and `--check` finds what it is for.
//!
//! Real builds would take minutes. So this binary plays cargo (`CARGO` leads to it), which says
//! that it has built this binary, which plays the servers, too: `STAND_IN` says what one does
//! wrong. With `STAND_IN_FAULT` it is the real server of anyport, with that fault.
#![cfg_attr(
    target_os = "linux",
    expect(clippy::unwrap_used, reason = "a test that can't go on should stop")
)]

#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod check;
#[cfg(target_os = "linux")]
mod page;
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
            Some(at) => stand_in::serve(&arguments[at + 1]),
            None => {
                let trials = [cases::all(), check::all(), page::all()].concat();
                let trials = trials.into_iter().map(|(name, test, lack)| {
                    let trial = libtest_mimic::Trial::test(name, move || {
                        test();
                        Ok(())
                    });
                    match lack {
                        None => trial,
                        Some(lack) => trial
                            .with_ignored_flag(true)
                            .with_kind(format!("needs {lack}")),
                    }
                });
                let mut arguments = libtest_mimic::Arguments::from_args();
                // Each has the machine's cores to itself, or it would disturb the others.
                arguments.test_threads = Some(1);
                libtest_mimic::run(&arguments, trials.collect()).exit_code()
            }
        },
    }
}

/// A test's name, the test, and what the machine lacks for it.
#[cfg(target_os = "linux")]
type Test = (&'static str, fn(), Option<&'static str>);

/// Whether a program runs.
#[cfg(target_os = "linux")]
fn lack(command: &'static str) -> Option<&'static str> {
    let mut words = command.split(' ');
    let program = words.next()?;
    let ran = std::process::Command::new(program).args(words).output();
    (!ran.is_ok_and(|output| output.status.success())).then_some(program)
}
