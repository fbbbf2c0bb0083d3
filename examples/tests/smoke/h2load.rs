//! `any_transport` under h2load: many concurrent requests on some connections, in both versions of
//! HTTP.
use crate::{add, example::Example};
use anyport_testkit::requirements::{Tests, needs_program};
use std::process::Command;

const REQUESTS: &str = "2000";

const MONOIO: bool = cfg!(all(feature = "monoio", target_os = "linux"));
const GLOMMIO: bool = cfg!(all(feature = "glommio", target_os = "linux"));

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(
        tests, h2load unless needs_program("h2load"),
        h2load_succeeds_in_both_versions_over_each_transport,
    )
}

fn h2load_succeeds_in_both_versions_over_each_transport() {
    let plain = [
        ("tcp", true),
        ("tcp-per-core", true),
        ("monoio", MONOIO),
        ("glommio", GLOMMIO),
    ];
    let encrypted = [
        ("tls", true),
        ("tls-monoio", MONOIO),
        ("tls-glommio", GLOMMIO),
    ];
    let plain = plain.map(|(transport, is_on)| (transport, is_on, "http", "h2c"));
    let encrypted = encrypted.map(|(transport, is_on)| (transport, is_on, "https", "h2"));
    for (transport, is_on, scheme, h2) in plain.into_iter().chain(encrypted) {
        if !is_on {
            continue;
        }
        let server = Example::start(
            "any_transport",
            &["--transport", transport, "--listen", "127.0.0.1:0"],
        );
        let url = format!("{scheme}://{}/", server.endpoint);
        for (version, options) in [("http/1.1", &["--h1"][..]), (h2, &["-m", "10"])] {
            let output = h2load(options, &url);
            for line in [
                format!("Application protocol: {version}"),
                format!(
                    "requests: {REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout"
                ),
                format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx"),
            ] {
                assert!(
                    output.contains(&line),
                    "{transport}: expected `{line}` in {output:#?}"
                );
            }
        }
        server.terminate().assert_success();
    }
}

/// The output of h2load.
fn h2load(options: &[&str], url: &str) -> Vec<String> {
    let mut command = Command::new("h2load");
    command
        .args(["-n", REQUESTS, "-c", "20"])
        .args(options)
        .arg(url);
    Example::spawn(&mut command).unwrap().wait().stdout
}
