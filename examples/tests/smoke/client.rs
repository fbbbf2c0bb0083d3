//! The example with a client, with the examples that serve.
use crate::{
    add,
    certificate::Certificate,
    example::{Example, binary, one_line_error, output},
};
use anyport_testkit::requirements::Tests;
use std::process::Command;

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(
        tests,
        client,
        client_shares_connections,
        client_speaks_http2_over_tls_and_verifies_the_name,
    )
}

fn client(server: &Example, scheme: &str, host: &str) -> Command {
    let (_, port) = server.endpoint.rsplit_once(':').unwrap();
    let mut command = Command::new(binary("client"));
    command.arg(format!("{scheme}://{host}:{port}/"));
    command
}

fn client_shares_connections() {
    let server = Example::start("any_transport", &["--listen", "127.0.0.1:0"]);
    let output = output(client(&server, "http", "localhost").args(["--count", "20"]));
    let (last, responses) = output.split_last().unwrap();
    assert_eq!(responses.len(), 40);
    assert_eq!(responses[..2], ["HTTP/1.1 200 OK", "Hello, World!"]);
    // The second one may be connected only when the first one has carried all requests.
    let counts = [18, 19].map(|n| format!("2 connections were opened, and used again {n} times"));
    assert!(counts.contains(last), "{last}");
    server.terminate().assert_success();
}

fn client_speaks_http2_over_tls_and_verifies_the_name() {
    let certificate = Certificate::new(&["localhost"]);
    let server = certificate.serve();
    let client = |host| {
        let mut command = client(&server, "https", host);
        certificate.trust(&mut command);
        command
    };
    assert_eq!(output(&mut client("localhost"))[0], "HTTP/2.0 200 OK");
    let error = one_line_error(client("127.0.0.1").env_remove("SSL_CERT_DIR"));
    assert!(error.contains("the handshake with 127.0.0.1:"), "{error}");
    server.terminate().assert_success();
}
