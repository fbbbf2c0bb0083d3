//! `nghttp` and `h2load`, nghttp2's clients.
use crate::{
    client::Authority,
    programs::{Tests, run},
    scene::{HELLO, Served, app, over_tcp},
    tests,
};
use anyport_core::serve_with;
use anyport_tcp::Tcp;
use anyport_tls::TlsExt;

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests =
        tests!(tests, "h2load": http_1_under_load, http_2_under_load, http_2_under_load_per_core);
    tests!(tests, "nghttp": http_2_by_its_reference)
}

fn http_1_under_load() {
    let served = Served::start(over_tcp(Authority::new().server()));
    h2load(&served, &["--h1"], "http/1.1");
    served.ends();
}

fn http_2_under_load() {
    let served = Served::start(over_tcp(Authority::new().server()));
    h2load(&served, &["--max-concurrent-streams=10"], "h2");
    served.ends();
}

fn http_2_under_load_per_core() {
    let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    let served = Served::start(serve_with(tcp.tls(Authority::new().server()), app()));
    h2load(&served, &["--max-concurrent-streams=10"], "h2");
    served.ends();
}

fn h2load(served: &Served, arguments: &[&str], protocol: &str) {
    const REQUESTS: usize = 5000;
    let counts = [
        format!("--requests={REQUESTS}"),
        "--clients=20".to_owned(),
        "--threads=2".to_owned(),
    ];
    let url = format!("https://{}/2000", served.addr());
    let arguments = counts
        .iter()
        .map(String::as_str)
        .chain(arguments.iter().copied())
        .chain([&*url]);
    run("h2load", arguments, "")
        .succeeded()
        .has(&format!("Application protocol: {protocol}\n"))
        .has(&format!(
            "requests: {REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout\n"
        ))
        .has(&format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx\n"));
}

fn http_2_by_its_reference() {
    let served = Served::start(over_tcp(Authority::new().server()));
    let said = run(
        "nghttp",
        [
            "--verbose",
            "--no-verify-peer",
            &format!("https://{}/", served.addr()),
        ],
        "",
    );
    said.succeeded()
        .has("The negotiated protocol: h2\n")
        .has(":status: 200")
        .has(HELLO)
        .lacks("Some requests were not processed");
    served.ends();
}
