//! Targets that fail, and peers that leave in the middle.
use super::{
    OVER_TCP, ProxyUnderTest,
    messages::OK,
    target::{accept, read_head, read_request},
};
use crate::{
    certificate::Certificate,
    example::{Example, TIMEOUT, binary, exchange, reserved_address, run_curl},
};
use std::{
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
    thread,
};

/// Any transport in, and TCP, Unix sockets and TLS out.
pub(crate) fn each_transport_reaches_each_target() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tcp = Example::start("any_transport", &["--listen", "127.0.0.1:0"]);
    let socket = file("target.sock");
    let unix = Example::start(
        "any_transport",
        &["--transport", "unix", "--listen", &socket],
    );
    let certificate = Certificate::new(&["localhost"]);
    let tls = certificate.serve();
    let port = tls.endpoint.rsplit_once(':').unwrap().1;
    for target in [
        format!("http://{}", tcp.endpoint),
        format!("unix:{socket}"),
        format!("https://localhost:{port}"),
    ] {
        for transport in OVER_TCP.iter().chain(&["unix", "tls"]) {
            let listen = match *transport {
                "unix" => file("proxy.sock"),
                _ => "127.0.0.1:0".to_owned(),
            };
            let options = [
                "--transport",
                transport,
                "--listen",
                &listen,
                "--target",
                &target,
            ];
            let mut command = Command::new(binary("reverse_proxy"));
            certificate.trust(&mut command);
            command.args(options).env_remove("SSL_CERT_DIR");
            let proxy = ProxyUnderTest::spawn(&mut command);
            let answer = match *transport {
                "tls" => {
                    let curl = format!("curl -k https://{}/", proxy.example.endpoint);
                    run_curl(&curl, &[]).unwrap()
                }
                _ => exchange(proxy.example.connect_anywhere(), "GET /"),
            };
            assert!(
                answer.contains("Hello, "),
                "{transport} to {target}: {answer}"
            );
            proxy.end();
        }
    }
    for target in [tcp, unix, tls] {
        target.terminate().assert_success();
    }
}

pub(crate) fn wrong_options_are_errors() {
    let fails = |transport: &str, target: &str| {
        let mut command = Command::new(binary("reverse_proxy"));
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--transport",
            transport,
            "--target",
            target,
        ]);
        let ended = Example::spawn(&mut command).unwrap().wait();
        assert_ne!(ended.code, Some(0), "{ended:?}");
        ended.stderr.join("\n")
    };
    for target in ["ftp://a", "a b", "/", "http://a/path", "unix:"] {
        let error = fails("tcp", target);
        assert!(
            error.contains(&format!("{target:?} is not a target (use http://")),
            "{error}"
        );
    }
    let error = fails("carrier-pigeon", "http://a");
    assert!(
        error.contains("there is no transport \"carrier-pigeon\""),
        "{error}"
    );
}

pub(crate) fn failing_target_is_a_502_and_a_slow_one_a_504() {
    let (closed, _reserved) = reserved_address();
    let status = |target: &str, options: &[&str]| {
        let proxy = ProxyUnderTest::with(target, options);
        let answer = proxy.example.exchange("GET /");
        proxy.end();
        answer[9..12].to_owned()
    };
    assert_eq!(
        status(&format!("http://{closed}"), &[]),
        "502",
        "nobody listens"
    );
    for (answer, what) in [
        (&b""[..], "it closes at once"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "it closes in the head"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "it is no HTTP server"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "unasked",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "two lengths",
        ),
    ] {
        let (addr, connections) = accept();
        let answers = thread::spawn(move || {
            for mut connection in connections {
                let _ = read_head(&mut BufReader::new(&connection));
                let _ = connection.write_all(answer);
            }
        });
        assert_eq!(status(&format!("http://{addr}"), &[]), "502", "{what}");
        drop(answers);
    }
    // It accepts, and says nothing.
    let (addr, _connections) = accept();
    assert_eq!(
        status(&format!("http://{addr}"), &["--timeout", "300"]),
        "504"
    );
}

/// The client's end cancels the request to the target, before the response and within it.
pub(crate) fn request_ends_when_its_client_leaves() {
    for transport in OVER_TCP {
        request_ends_when_its_client_leaves_over(transport);
    }
}

fn request_ends_when_its_client_leaves_over(transport: &str) {
    let (addr, connections) = accept();
    let proxy = ProxyUnderTest::on(transport, &format!("http://{addr}"));
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome",
    ] {
        let mut client = proxy.example.connect();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut target = connections.recv_timeout(TIMEOUT).unwrap();
        read_request(&mut BufReader::new(&target)).unwrap();
        target.write_all(answer).unwrap();
        if !answer.is_empty() {
            client.read_exact(&mut [0; 4]).unwrap();
        }
        drop(client);
        // The target sees the end. A reset is one, too.
        let mut rest = [0; 1];
        assert!(matches!(target.read(&mut rest), Ok(0) | Err(_)));
    }
    // The proxy serves on.
    let response = thread::spawn({
        let client = proxy.example.connect();
        move || exchange(client, "GET /")
    });
    let mut target = connections.recv_timeout(TIMEOUT).unwrap();
    read_request(&mut BufReader::new(&target)).unwrap();
    target.write_all(OK).unwrap();
    assert!(response.join().unwrap().ends_with("ok"));
    proxy.end();
}

/// A message that ends too early must not look complete on the other side.
pub(crate) fn cut_bodies_stay_cut() {
    for transport in OVER_TCP {
        cut_bodies_stay_cut_over(transport);
    }
}

fn cut_bodies_stay_cut_over(transport: &str) {
    let (addr, connections) = accept();
    let proxy = ProxyUnderTest::on(transport, &format!("http://{addr}"));
    // The client disconnects within its upload.
    for head in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut client = proxy.example.connect();
        write!(client, "POST / HTTP/1.1\r\nHost: a\r\n{head}").unwrap();
        let target = connections.recv_timeout(TIMEOUT).unwrap();
        let mut reader = BufReader::new(&target);
        read_head(&mut reader).unwrap();
        let mut byte = [0];
        while byte != *b"o" {
            reader.read_exact(&mut byte).unwrap();
        }
        drop(client);
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains('0'), "{rest:?}");
    }
    // The target leaves within its response.
    for head in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut client: TcpStream = proxy.example.connect();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut target = connections.recv_timeout(TIMEOUT).unwrap();
        read_request(&mut BufReader::new(&target)).unwrap();
        write!(target, "HTTP/1.1 200 OK\r\n{head}").unwrap();
        target.shutdown(Shutdown::Both).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let is_complete = answer.ends_with("0\r\n\r\n") || answer.contains("content-length: 5\r\n");
        assert!(!is_complete, "{answer}");
    }
    proxy.end();
}
