//! HTTP/2, one request and h2load's many, against h2 in a few lines. Where there's no h2load, its tests are ignored, and say why.
#![cfg_attr(
    target_os = "linux",
    expect(clippy::unwrap_used, reason = "a test that can't go on should stop")
)]

#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
#[path = "http2/cases.rs"]
mod cases;

#[cfg(target_os = "linux")]
#[path = "http2/responder.rs"]
mod responder;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    cases::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
