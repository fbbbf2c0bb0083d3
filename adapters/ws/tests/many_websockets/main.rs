//! Many WebSockets at once: each of these tests uses all descriptors of the process.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[cfg(target_os = "linux")]
mod drain;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = Tests::default();
    #[cfg(target_os = "linux")]
    let tests = drain::tests(tests);
    tests.run()
}
