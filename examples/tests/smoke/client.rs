//! The example with a client, with the examples that serve.
use crate::{
    add,
    example::{Example, binary, one_line_error},
};
use anyport_testkit::requirements::Tests;
use std::{fs, process::Command};

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

fn output(command: &mut Command) -> Vec<String> {
    let ended = Example::spawn(command).unwrap().wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

fn client_shares_connections() {
    let server = Example::start("any_transport", &["--listen", "127.0.0.1:0"]);
    let output = output(client(&server, "http", "localhost").args(["--count", "20"]));
    let (last, responses) = output.split_last().unwrap();
    assert_eq!(responses.len(), 40);
    assert_eq!(responses[..2], ["HTTP/1.1 200 OK", "Hello, World!"]);
    assert_eq!(last, "2 connections were opened, and used again 18 times");
    server.terminate().assert_success();
}

fn client_speaks_http2_over_tls_and_verifies_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--cert", &cert, "--key", &key];
    let server = Example::start("tls", &arguments);
    let client = |host| {
        let mut command = client(&server, "https", host);
        // The certificate authorities of the system, as OpenSSL finds them, too.
        command.env("SSL_CERT_FILE", &cert);
        command
    };
    assert_eq!(output(&mut client("localhost"))[0], "HTTP/2.0 200 OK");
    let error = one_line_error(client("127.0.0.1").env_remove("SSL_CERT_DIR"));
    assert!(error.contains("the handshake with 127.0.0.1:"), "{error}");
    server.terminate().assert_success();
}
