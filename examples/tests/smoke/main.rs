//! Each example as a user runs it: it is started on a free port, gets requests, and is ended by a
//! signal.
//!
//! `cargo test` builds the examples before this test; `cargo test --test smoke` alone does not.
//! Where curl, h2load or httpwg is missing, the tests that need it are ignored with the reason.
#![cfg_attr(
    unix,
    expect(
        clippy::unwrap_used,
        reason = "a helper that unwraps fails with a line number, as a test does"
    )
)]

#[cfg(unix)]
mod any_transport;
#[cfg(unix)]
mod behind_haproxy;
#[cfg(unix)]
mod certificate;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod connect;
#[cfg(unix)]
mod example;
#[cfg(unix)]
mod h2load;
#[cfg(unix)]
mod httpwg;
#[cfg(unix)]
mod io_uring_fallback;
#[cfg(target_os = "linux")]
mod port_80;
#[cfg(unix)]
mod programs;
#[cfg(unix)]
mod reverse_proxy;
#[cfg(unix)]
mod tls;
#[cfg(unix)]
mod websocket_client;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

/// Adds tests of a module, named after their functions. `unless` gives a reason to ignore them.
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
    let tests = [
        any_transport::tests,
        behind_haproxy::tests,
        client::tests,
        connect::tests,
        h2load::tests,
        httpwg::tests,
        io_uring_fallback::tests,
        programs::tests,
        reverse_proxy::tests,
        tls::tests,
        websocket_client::tests,
    ]
    .into_iter()
    .fold(tests, |tests, add| add(tests));
    #[cfg(target_os = "linux")]
    let tests = port_80::tests(tests);
    tests.run()
}
