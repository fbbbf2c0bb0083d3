//! The example that connects, with the examples that serve.
use crate::{
    add,
    example::{Example, binary, one_line_error},
};
use anyport_testkit::requirements::Tests;
use std::{fs, net::TcpListener, process::Command};

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

fn output(command: &mut Command) -> Vec<String> {
    let ended = Example::spawn(command).unwrap().wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
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
    let folder = tempfile::tempdir().unwrap();
    let file = |name| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--cert", &cert, "--key", &key];
    let server = Example::start("tls", &arguments);
    let connect = |host| {
        let mut command = connect(&server, host, &["--transport", "tls"]);
        // The certificate authorities of the system, as OpenSSL finds them, too.
        command.env("SSL_CERT_FILE", &cert);
        command
    };
    let output = output(&mut connect("localhost"));
    assert_eq!(output[0], "200 OK");
    let error = one_line_error(connect("127.0.0.1").env_remove("SSL_CERT_DIR"));
    assert!(error.contains("the handshake with 127.0.0.1:"), "{error}");
    server.terminate().assert_success();
}

fn connect_says_what_each_address_did() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let port = free.port().to_string();
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
