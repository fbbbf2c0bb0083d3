//! Tests that need another user, or root. Where that is missing, a test is ignored with the reason.
#![cfg_attr(not(unix), allow(unused))]
#![cfg_attr(
    unix,
    expect(
        clippy::unwrap_used,
        reason = "a helper that unwraps fails with a line number, as a test does"
    )
)]

#[cfg(unix)]
mod access;
#[cfg(unix)]
mod bad_input;
#[cfg(unix)]
#[path = "../fixture/mod.rs"]
mod fixture;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = Tests::default();
    #[cfg(unix)]
    let tests = bad_input::tests(access::tests(tests));
    tests.run()
}
