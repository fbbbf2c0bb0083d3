//! What asks something of the machine: where that's not to be had, a test is ignored, and says why.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[cfg(target_os = "linux")]
mod idle;
mod ipv6;
#[path = "../scene/mod.rs"]
mod scene;
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
