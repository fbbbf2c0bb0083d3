//! Programs that others wrote, as clients: OpenSSL, curl, and nghttp2's.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[path = "../client/mod.rs"]
mod client;
mod curl;
mod nghttp2;
mod openssl;
#[path = "../programs/mod.rs"]
mod programs;
#[path = "../scene/mod.rs"]
mod scene;
mod testssl;

use programs::Tests;
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = openssl::tests(Tests::default());
    let tests = curl::tests(tests);
    let tests = nghttp2::tests(tests);
    testssl::tests(tests).run()
}
