//! The example that opens a WebSocket, with the one that serves WebSockets.
use crate::{
    add,
    certificate::Certificate,
    example::{Example, binary, one_line_error, output},
};
use anyport::{
    Body, Handle, Request, Tcp, serve_with, service_fn,
    tls::{TlsConfig, TlsExt},
    ws::{self, Config, WebSocket},
};
use anyport_testkit::requirements::Tests;
use std::{convert::Infallible, process::Command};

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(
        tests,
        websocket_client,
        client_sends_texts_and_prints_the_answers,
        client_uses_tls_and_verifies_the_name,
        refused_handshake_is_one_line,
    )
}

fn client(address: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("websocket_client"));
    command.arg(address).args(arguments);
    command
}

/// The example `websocket`, and its host and port.
fn served() -> (Example, String) {
    let mut command = Command::new(binary("websocket"));
    let server = Example::spawn(command.args(["--listen", "127.0.0.1:0"])).unwrap();
    let endpoint = server.line_after("listening on ");
    (server, endpoint)
}

fn client_sends_texts_and_prints_the_answers() {
    let (server, endpoint) = served();
    let address = format!("ws://{endpoint}/echo");
    for more in [&[][..], &["--http2"]] {
        let texts = ["one", "two, and three"];
        let output = output(client(&address, &texts).args(more));
        assert_eq!(output, texts, "{more:?}");
    }
    server.terminate().assert_success();
}

fn refused_handshake_is_one_line() {
    let (server, endpoint) = served();
    let address = format!("ws://{endpoint}/");
    let error = one_line_error(&mut client(&address, &["hello"]));
    let expected = format!("error: cannot open {address}: the server answered 200 OK: ");
    assert!(error.starts_with(&expected), "{error}");
    server.terminate().assert_success();
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if message.is_data() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// A server over TLS, with a certificate of a file.
fn served_over_tls(config: TlsConfig) -> Handle {
    let app = |mut request: Request<Body>| async move {
        Ok::<_, Infallible>(ws::upgrade(&mut request, &Config::default(), echo))
    };
    let transport = Tcp::bind("127.0.0.1:0").per_core().tls(config);
    serve_with(transport, service_fn(app)).start().unwrap()
}

fn client_uses_tls_and_verifies_the_name() {
    let certificate = Certificate::new(&["localhost"]);
    let config = TlsConfig::from_pem_files(&certificate.cert, &certificate.key);
    let server = served_over_tls(config);
    let port = server.endpoints()[0].socket_addr().unwrap().port();
    let client = |host: &str, arguments: &[&str]| {
        let mut command = client(&format!("wss://{host}:{port}/"), &["hello"]);
        certificate.trust(&mut command);
        command.env_remove("SSL_CERT_DIR").args(arguments);
        command
    };
    assert_eq!(output(&mut client("localhost", &[])), ["hello"]);
    assert_eq!(output(&mut client("localhost", &["--http2"])), ["hello"]);
    let error = one_line_error(&mut client("127.0.0.1", &[]));
    assert!(error.contains("the handshake with 127.0.0.1:"), "{error}");
    drop(server.abort());
}
