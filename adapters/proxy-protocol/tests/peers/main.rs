//! Foreign programs as proxies: haproxy, nginx and curl.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[path = "../../../../transports/tls/tests/client/mod.rs"]
mod client;
mod curl;
mod haproxy;
mod nginx;
mod program;
#[path = "../it/server.rs"]
mod server;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

/// The names and functions of async tests with the same requirement.
macro_rules! tests {
    ($tests:expr, $missing:expr; $($module:ident::$name:ident),+ $(,)?) => {
        $tests$(.unless(
            $missing,
            concat!(stringify!($module), "::", stringify!($name)),
            || anyport_testkit::requirements::block_on($module::$name()),
        ))+
    };
}

fn main() -> ExitCode {
    use anyport_testkit::requirements::needs_program;
    let tests = tests!(
        Tests::default(), needs_program("haproxy");
        haproxy::every_kind_of_header_names_the_client,
        haproxy::tls_at_haproxy_is_told,
        haproxy::tls_passes_through,
        haproxy::health_checks_succeed,
        haproxy::limit_per_address_holds_for_each_client,
        haproxy::accept_filter_sees_the_client,
    );
    let tests = tests!(tests, nginx::needs_stream(); nginx::stream_proxy_names_the_client);
    let tests = tests!(
        tests, needs_program("nginx");
        nginx::forwarded_field_names_the_client,
        nginx::x_forwarded_for_names_the_client,
    );
    tests!(
        tests, needs_program("curl");
        curl::client_is_named_over_tcp_and_tls,
        curl::unix_socket_has_no_client_to_name,
    )
    .run()
}
