//! Each example as its user runs it: started on a free port, asked for real, ended by a signal.
//!
//! `cargo test` builds the examples before this; `cargo test --test smoke` alone doesn't. Where
//! there's no curl, no h2load or no httpwg, the tests that need it are ignored, and say why.
#![cfg_attr(
    unix,
    expect(
        clippy::unwrap_used,
        reason = "a helper that unwraps fails with a line number, as a test does"
    )
)]

#[cfg(unix)]
mod h2load;
#[cfg(unix)]
mod hello;
#[cfg(unix)]
mod httpwg;
#[cfg(unix)]
mod others;
#[cfg(target_os = "linux")]
mod port_80;
#[cfg(unix)]
mod running;
#[cfg(unix)]
mod tls;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

/// Adds tests of a module, each by its function's name; `unless` there's a reason to ignore them.
#[cfg(unix)]
macro_rules! add {
    ($tests:expr, $module:ident, $($name:ident),+ $(,)?) => {
        add!($tests, $module unless None, $($name),+)
    };
    ($tests:expr, $module:ident unless $missing:expr, $($name:ident),+ $(,)?) => {
        $tests$(.unless($missing, concat!(stringify!($module), "::", stringify!($name)), $name))+
    };
}
#[cfg(unix)]
use add;

fn main() -> ExitCode {
    let tests = Tests::default();
    #[cfg(unix)]
    let tests = tls::tests(others::tests(hello::tests(httpwg::tests(h2load::tests(
        tests,
    )))));
    #[cfg(target_os = "linux")]
    let tests = port_80::tests(tests);
    tests.run()
}
