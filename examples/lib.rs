//! The examples of anyport. Each answers one question. Run one with `cargo run --example NAME`; its
//! options are listed by `-- --help`.
//!
//! | example | question |
//! |---|---|
//! | `hello` | How do I serve an app? |
//! | `any_transport` | How do I serve the same app over any transport? |
//! | `io_uring_fallback` | How do I use io_uring where the kernel allows it, and tokio elsewhere? |
//! | `axum_app` | How do I serve an axum app whose handlers know their connection? |
//! | `per_worker` | How do I keep state per worker, without a lock, and let the workers communicate? |
//! | `thread_per_core` | How do I run an app that is not `Send`, with a thread per core, on any runtime? |
//! | `mixed` | How do I serve on two runtimes from one server, with one drain? |
//! | `custom_transport` | How do I write a transport of my own? |
//! | `latency` | How do I change what any transport does, for example to test with a slow network? |
//! | `limits` | What happens to a client that exceeds a limit or a timeout? |
//! | `shutdown` | What happens to clients when the server shuts down? |
//! | `draining` | How do long-running handlers end when the server shuts down? |
//! | `testing` | How do I test an app with its server, without a network and without waiting? |
//! | `websocket` | How do I serve WebSockets over any transport? |
//! | `websocket_client` | How do I open a WebSocket over any transport, as a client? |
//! | `raw_echo` | How do I serve a protocol of my own, on the bytes of a connection? |
//! | `client` | How do I send requests with one client, over HTTPS or over any transport? |
//! | `connect` | How do I connect to a host by its name, over any transport, as a client? |
//! | `reverse_proxy` | How do I forward requests to another server, from any transport to any other? |
//! | `tls` | How do I serve HTTPS, and renew the certificate without a restart? |
//! | `mtls` | How do I accept only clients with a certificate? |
//! | `sni` | How do I serve several names, each with its own certificate? |
//! | `behind_haproxy` | How does my app learn who its clients are, behind haproxy or a cloud's balancer? |
//! | `unix` | How do I serve over a Unix socket, and learn which user connects? |
//!
//! Most of them install a subscriber of `tracing`, which prints the log of the server. This crate
//! has the code that they share. It turns an error into one line and an exit code, and prints a
//! curl command for each endpoint.
use anyport::{
    Error, Handle,
    transport::{Endpoint, UnixName},
};
use std::{fmt, process::ExitCode};

/// Prints the error of an example on one line, and returns the exit code.
pub fn exit_code(result: Result<(), impl fmt::Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a curl command for each endpoint of a server. `scheme` is `http`, or `https` with a
/// certificate for development.
pub fn print_curl(server: &Handle, scheme: &str) {
    let curl = match scheme {
        "https" => "curl -k",
        _ => "curl",
    };
    for endpoint in server.endpoints() {
        let call = match endpoint {
            Endpoint::Unix(UnixName::Path(path)) => {
                format!("--unix-socket {} {scheme}://localhost/", path.display())
            }
            other => format!("{scheme}://{other}/"),
        };
        println!("try: {curl} {call}");
    }
}

/// The error of a transport that is not compiled in.
pub fn not_compiled_in(feature: &str) -> Error {
    Error::config(format!(
        "{feature} is not compiled in: on Linux, add `--features {feature}` to the command"
    ))
}

#[cfg(any(test, doctest))]
mod guide;
