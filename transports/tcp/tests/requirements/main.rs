//! Tests that need something of the machine. Where that is missing, a test is ignored with the
//! reason.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
#[cfg(target_os = "linux")]
mod idle;
mod ipv6;
#[cfg(target_os = "linux")]
mod workers;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = ipv6::tests(Tests::default());
    #[cfg(target_os = "linux")]
    let tests = workers::tests(idle::tests(tests));
    tests.run()
}
