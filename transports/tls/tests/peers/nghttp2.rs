//! `nghttp` and `h2load`, nghttp2's clients.
use crate::{
    client::Authority,
    fixture::{HELLO, TestServer, app, over_tcp},
    programs::{Tests, run},
    tests,
};
use anyport_core::serve_with;
use anyport_tcp::Tcp;
use anyport_tls::TlsExt;

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests =
        tests!(tests, "h2load": http_1_under_load, http_2_under_load, http_2_under_load_per_core);
    tests!(tests, "nghttp": nghttp_gets_a_response)
}

fn http_1_under_load() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    h2load(&server, &["--h1"], "http/1.1");
    server.shut_down();
}

fn http_2_under_load() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    h2load(&server, &["--max-concurrent-streams=10"], "h2");
    server.shut_down();
}

fn http_2_under_load_per_core() {
    let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    let server = TestServer::start(serve_with(tcp.tls(Authority::new().server()), app()));
    h2load(&server, &["--max-concurrent-streams=10"], "h2");
    server.shut_down();
}

fn h2load(server: &TestServer, arguments: &[&str], protocol: &str) {
    const REQUESTS: usize = 5000;
    let counts = [
        format!("--requests={REQUESTS}"),
        "--clients=20".to_owned(),
        "--threads=2".to_owned(),
    ];
    let url = format!("https://{}/2000", server.addr());
    let arguments = counts
        .iter()
        .map(String::as_str)
        .chain(arguments.iter().copied())
        .chain([&*url]);
    run("h2load", arguments, "")
        .succeeded()
        .contains(&format!("Application protocol: {protocol}\n"))
        .contains(&format!(
            "requests: {REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout\n"
        ))
        .contains(&format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx\n"));
}

fn nghttp_gets_a_response() {
    let server = TestServer::start(over_tcp(Authority::new().server()));
    let output = run(
        "nghttp",
        [
            "--verbose",
            "--no-verify-peer",
            &format!("https://{}/", server.addr()),
        ],
        "",
    );
    output
        .succeeded()
        .contains("The negotiated protocol: h2\n")
        .contains(":status: 200")
        .contains(HELLO)
        .lacks("Some requests were not processed");
    server.shut_down();
}
