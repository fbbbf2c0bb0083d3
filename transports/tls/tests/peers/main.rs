//! Independent programs as clients: OpenSSL, curl, nghttp2's clients and testssl. OpenSSL and
//! nginx as servers.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[path = "../client/mod.rs"]
mod client;
mod curl;
#[path = "../fixture/mod.rs"]
mod fixture;
mod nghttp2;
mod nginx_server;
mod openssl;
mod openssl_server;
#[path = "../programs/mod.rs"]
mod programs;
mod testssl;

use programs::Tests;
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = openssl::tests(Tests::default());
    let tests = openssl_server::tests(tests);
    let tests = nginx_server::tests(tests);
    let tests = curl::tests(tests);
    let tests = nghttp2::tests(tests);
    testssl::tests(tests).run()
}
