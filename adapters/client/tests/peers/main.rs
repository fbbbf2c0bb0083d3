//! Independent programs as servers: nginx and haproxy.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod haproxy;
#[allow(dead_code, reason = "this test uses some of it")]
#[path = "../it/kit.rs"]
mod kit;
mod nginx;
mod program;
#[allow(dead_code, reason = "this test uses some of it")]
#[path = "../it/server.rs"]
mod server;

use anyport_testkit::requirements::{Tests, needs_program};
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = kit::on_every_runtime!(
        Tests::default(), needs_program("nginx");
        nginx::keepalive_requests_lose_no_request,
        nginx::keepalive_requests_lose_no_request_of_a_burst,
        nginx::reload_loses_no_request,
    );
    let tests = kit::on_every_runtime!(
        tests, needs_program("haproxy");
        haproxy::closed_idle_connections_lose_no_request,
        haproxy::bodies_are_sent_over_http1,
        haproxy::bursts_over_http2_add_connections,
    );
    tests.run()
}
