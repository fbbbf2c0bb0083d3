//! The examples with TLS, tested with curl.
use crate::{
    add,
    certificate::Certificate,
    example::{Example, TIMEOUT, run_curl},
};
use anyport_testkit::requirements::{Tests, needs_program};
use rustix::process::Signal;
use std::{fs, process::Command};

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(
        tests, tls unless needs_program("curl"),
        tls_serves_with_a_development_certificate,
        tls_reloads_its_certificate_on_sighup_and_keeps_it_if_the_new_one_is_invalid,
        mtls_greets_clients_with_a_certificate_and_refuses_others,
        sni_selects_the_certificate_and_refuses_unknown_names,
        any_transport_serves_over_tls,
    )
}

fn tls_serves_with_a_development_certificate() {
    let tls = Example::start("tls", &["--listen", "127.0.0.1:0"]);
    for (version, option) in [("HTTP/1.1", "--http1.1"), ("HTTP/2.0", "--http2")] {
        let answer = run_curl(&tls.curl, &[option]).unwrap();
        assert!(
            answer.starts_with(&format!("Hello, {version} over TLSv1.3 with ")),
            "{answer}"
        );
    }
    tls.terminate().assert_success();
}

fn tls_reloads_its_certificate_on_sighup_and_keeps_it_if_the_new_one_is_invalid() {
    let certificate = Certificate::new(&["localhost", "127.0.0.1"]);
    let (cert, key) = (&*certificate.cert, &*certificate.key);
    let tls = certificate.serve();
    // Trusts only the certificate in the file.
    let trusted = || run_curl(&tls.curl, &["--no-insecure", "--cacert", cert]);
    trusted().unwrap();

    certificate.renew();
    let error = trusted().unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    tls.signal(Signal::HUP);
    assert_eq!(tls.stdout.recv_timeout(TIMEOUT).unwrap(), "reloaded");
    trusted().unwrap();

    fs::write(key, "no key").unwrap();
    tls.signal(Signal::HUP);
    let error = tls.stderr.recv_timeout(TIMEOUT).unwrap();
    assert!(
        error.contains(key) && error.ends_with("the previous configuration stays in use"),
        "{error}"
    );
    trusted().unwrap();
    tls.terminate().assert_success();
}

fn mtls_greets_clients_with_a_certificate_and_refuses_others() {
    let folder = tempfile::tempdir().unwrap();
    let mtls = Example::start(
        "mtls",
        &[
            "--listen",
            "127.0.0.1:0",
            "--folder",
            folder.path().to_str().unwrap(),
        ],
    );
    assert_eq!(run_curl(&mtls.curl, &[]).unwrap(), "Hello, CN=alice!\n");
    let url = format!("https://{}/", mtls.endpoint);
    let stranger = Command::new("curl")
        .args(["-sSk", "--max-time", "60", &url])
        .output()
        .unwrap();
    assert!(
        !stranger.status.success() && stranger.stdout.is_empty(),
        "{stranger:?}"
    );
    mtls.terminate().assert_success();
}

fn sni_selects_the_certificate_and_refuses_unknown_names() {
    let sni = Example::start("sni", &["--listen", "127.0.0.1:0"]);
    let ask = |name: &str| {
        let args = [
            "-sSk",
            "--max-time",
            "60",
            "--connect-to",
            &format!("::{}", sni.endpoint),
        ]
        .map(str::to_owned);
        Command::new("curl")
            .args(args)
            .arg(format!("https://{name}/"))
            .output()
    };
    for name in ["one.localhost", "two.localhost", "some.two.localhost"] {
        let answer = ask(name).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&answer.stdout),
            format!("Hello from {name}!\n")
        );
    }
    assert!(!ask("three.localhost").unwrap().status.success());
    sni.terminate().assert_success();
}

fn any_transport_serves_over_tls() {
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("s");
    for (transport, place) in [("tls", "127.0.0.1:0"), ("tls-unix", path.to_str().unwrap())] {
        let server = Example::start(
            "any_transport",
            &["--transport", transport, "--listen", place],
        );
        let answer = run_curl(&server.curl, &[]);
        assert_eq!(answer.unwrap(), "Hello, World!", "{transport}");
        server.terminate().assert_success();
    }
}
