//! `cargo xtask bench` as a program: a failure costs a row, no end of the bench leaves a server,
//! and `--check` finds regressions.
//!
//! Real builds would take minutes. So this binary is a stand-in for cargo, too: it reports that it
//! has built this binary, which is also a stand-in for the servers. `STAND_IN_FAULTS` has their
//! faults. With `STAND_IN_REAL_FAULT`, it is the real server of anyport with a fault.
#![cfg_attr(
    target_os = "linux",
    expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")
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
        _ => match stand_in::after(&arguments, "--listen") {
            Some(listen) => stand_in::serve(&arguments, listen),
            None => {
                let trials = [cases::all(), check::all(), page::all()].concat();
                let trials = trials.into_iter().map(|(name, test, missing)| {
                    let trial = libtest_mimic::Trial::test(name, move || {
                        test();
                        Ok(())
                    });
                    match missing {
                        None => trial,
                        Some(program) => trial
                            .with_ignored_flag(true)
                            .with_kind(format!("needs {program}")),
                    }
                });
                let mut arguments = libtest_mimic::Arguments::from_args();
                // Each needs the machine's cores.
                arguments.test_threads = Some(1);
                libtest_mimic::run(&arguments, trials.collect()).exit_code()
            }
        },
    }
}

/// A test's name, the test, and a program that is missing.
#[cfg(target_os = "linux")]
type Test = (&'static str, fn(), Option<&'static str>);

/// The tests of these names, and a program that they need and the machine lacks.
#[cfg(target_os = "linux")]
macro_rules! tests {
    ($missing:expr; $($test:ident),* $(,)?) => {
        vec![$((stringify!($test), $test as fn(), $missing)),*]
    };
}
#[cfg(target_os = "linux")]
use tests;

/// The program, if it does not run.
#[cfg(target_os = "linux")]
fn missing(command: &'static str) -> Option<&'static str> {
    let mut words = command.split(' ');
    let program = words.next()?;
    let ran = std::process::Command::new(program).args(words).output();
    (!ran.is_ok_and(|output| output.status.success())).then_some(program)
}
