//! The example that connects, with the examples that serve.
use crate::{
    add,
    certificate::Certificate,
    example::{Example, binary, one_line_error, output, reserved_address},
};
use anyport_testkit::requirements::Tests;
use std::process::Command;

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(
        tests,
        connect,
        connect_makes_a_request,
        connect_sends_raw_bytes,
        connect_makes_a_request_over_tls_and_verifies_the_name,
        connect_says_what_each_address_did,
    )
}

/// The arguments to connect to `host` at the port of a running example.
fn connect(server: &Example, host: &str, arguments: &[&str]) -> Command {
    let (_, port) = server.endpoint.rsplit_once(':').unwrap();
    let mut command = Command::new(binary("connect"));
    command.args(arguments).args([host, port]);
    command
}

fn connect_makes_a_request() {
    let server = Example::start("any_transport", &["--listen", "127.0.0.1:0"]);
    for host in ["localhost", "127.0.0.1"] {
        let output = output(&mut connect(&server, host, &[]));
        assert_eq!(output, ["200 OK", "Hello, World!"], "{host}");
    }
    server.terminate().assert_success();
}

fn connect_sends_raw_bytes() {
    let server = Example::start("raw_echo", &["--listen", "127.0.0.1:0"]);
    let output = output(&mut connect(&server, "localhost", &["--send", "ping"]));
    assert_eq!(output, ["ping"]);
    server.terminate().assert_success();
}

fn connect_makes_a_request_over_tls_and_verifies_the_name() {
    let certificate = Certificate::new(&["localhost"]);
    let server = certificate.serve();
    let connect = |host| {
        let mut command = connect(&server, host, &["--transport", "tls"]);
        certificate.trust(&mut command);
        command
    };
    let output = output(&mut connect("localhost"));
    assert_eq!(output[0], "200 OK");
    let error = one_line_error(connect("127.0.0.1").env_remove("SSL_CERT_DIR"));
    assert!(error.contains("the handshake with 127.0.0.1:"), "{error}");
    server.terminate().assert_success();
}

fn connect_says_what_each_address_did() {
    let (address, _reserved) = reserved_address();
    let port = address.port().to_string();
    let error = one_line_error(Command::new(binary("connect")).args(["localhost", &port]));
    assert!(
        error.starts_with(&format!("error: cannot connect to localhost:{port}: ")),
        "{error}"
    );
    assert!(
        error.contains(&format!("127.0.0.1:{port} refused")),
        "{error}"
    );
}
