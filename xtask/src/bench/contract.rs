//! The contract of a server: no server is measured that gives another response than all others.

use super::target::Target;
use super::workload::Scenario;
use anyhow::Context as _;
use anyport_bench_load::{Address, IdleConnections, Response, Timeout, Workload, fetch, require};
use std::process::Command;

/// The response to the load's key, from RFC 6455 1.3.
const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Headers with case-insensitive values (RFC 9110 7.6.1 and 7.8).
const CASELESS: [&str; 2] = ["connection", "upgrade"];
/// Longer bodies are not in error messages.
const READABLE: usize = 100;

/// Sends one request, and compares the response. Of handshakes, it makes one.
///
/// # Errors
///
/// When there is no response, or another one.
pub(super) fn check(
    target: &Target,
    address: &Address,
    scenario: &Scenario,
    timeout: &Timeout,
) -> anyhow::Result<()> {
    let Some(workload) = scenario.workload() else {
        return IdleConnections::connect(address, Workload::Plaintext, 1, timeout)?.open();
    };
    if scenario.is_http2() {
        return check_http2(address);
    }
    let response = fetch(address, workload, timeout)?;
    let own = match workload.is_websocket() {
        true => target.upgrade_headers,
        false => target.own_headers,
    };
    // Servers of the user may have any headers.
    let checked = compare(&response, workload, own, !target.is_given());
    let method = if workload.upload() > 0 { "POST" } else { "GET" };
    checked.map_err(|error| anyhow::anyhow!("{method} {}: {error:#}", workload.path()))
}

/// `own` are headers beside those of all servers. `strictly` allows no others.
fn compare(
    response: &Response,
    workload: Workload,
    own: &[(&'static str, &str)],
    strictly: bool,
) -> anyhow::Result<()> {
    let status = status(workload);
    anyhow::ensure!(
        response.status == status,
        "it answers status {} instead of {status}",
        response.status
    );
    compare_bodies(&response.body, &workload.response_body())?;
    if !strictly {
        return Ok(());
    }
    let (dates, headers): (Vec<_>, Vec<_>) = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), comparable(name, value)))
        .partition(|&(name, _)| name == "date");
    // In an upgrade, it is optional (RFC 9110 6.6.1).
    anyhow::ensure!(
        dates.len() == 1 || dates.is_empty() && workload.is_websocket(),
        "it sends {} `date` headers instead of one",
        dates.len()
    );
    let mut expected = expected_headers(workload);
    expected.extend(own.iter().map(|&(name, value)| (name, value.to_owned())));
    expected.sort_unstable();
    anyhow::ensure!(
        headers == expected,
        "it sends the headers {headers:?} instead of {expected:?}"
    );
    Ok(())
}

fn status(workload: Workload) -> u16 {
    if workload.is_websocket() { 101 } else { 200 }
}

/// All but `date`, sorted by name.
fn expected_headers(workload: Workload) -> Vec<(&'static str, String)> {
    match workload.content_type() {
        Some(content_type) => vec![
            ("content-length", workload.response_body().len().to_string()),
            ("content-type", content_type.to_owned()),
        ],
        None => vec![
            ("connection", "upgrade".to_owned()),
            ("sec-websocket-accept", WEBSOCKET_ACCEPT.to_owned()),
            ("upgrade", "websocket".to_owned()),
        ],
    }
}

fn comparable(name: &str, value: &str) -> String {
    match CASELESS.contains(&name) {
        true => value.to_ascii_lowercase(),
        false => value.to_owned(),
    }
}

/// Compares one response over HTTP/2.
fn check_http2(address: &Address) -> anyhow::Result<()> {
    require("curl", "curl")?;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure"]);
    curl.args(["--max-time", "10", "--noproxy", "*"]);
    curl.args(["--write-out", "\n%{http_version} %{response_code}"]);
    match address {
        Address::Tcp(address) => {
            curl.args(["--http2-prior-knowledge", &format!("http://{address}/")])
        }
        Address::Tls(address) => curl.args(["--http2", &format!("https://{address}/")]),
        Address::Unix(path) => curl
            .arg("--unix-socket")
            .arg(path)
            .args(["--http2-prior-knowledge", "http://localhost/"]),
    };
    let output = curl.output().context("cannot run curl")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let expected = "Hello, World!\n2 200";
    anyhow::ensure!(
        printed == expected,
        "over HTTP/2 it answers `{}{}` instead of `{expected}`",
        printed.trim_end(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

fn compare_bodies(body: &[u8], expected: &[u8]) -> anyhow::Result<()> {
    if body == expected {
        return Ok(());
    }
    if expected.len() <= READABLE && body.len() <= READABLE {
        anyhow::bail!(
            "it answers `{}` instead of `{}`",
            String::from_utf8_lossy(body),
            String::from_utf8_lossy(expected)
        );
    }
    let same = body
        .iter()
        .zip(expected)
        .take_while(|(byte, expected)| byte == expected);
    anyhow::bail!(
        "it answers {} bytes instead of {}, which differ from byte {} on",
        body.len(),
        expected.len(),
        same.count()
    );
}

#[cfg(test)]
mod tests {
    use super::{Response, Workload, compare, expected_headers, status};

    fn expected(workload: Workload) -> Response {
        let date = ("date", "Tue, 24 Nov 2026 12:00:00 GMT".to_owned());
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Response {
            status: status(workload),
            headers: expected_headers(workload)
                .into_iter()
                .chain([date])
                .map(owned)
                .collect(),
            body: workload.response_body(),
        }
    }

    fn error(workload: Workload, change: fn(&mut Response)) -> String {
        let mut response = expected(workload);
        change(&mut response);
        compare(&response, workload, &[], true)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn expected_responses_pass() {
        for workload in Workload::ALL {
            compare(&expected(workload), workload, &[], true).unwrap();
        }
    }

    #[test]
    fn own_headers_are_allowed_to_their_target_only() {
        let mut response = expected(Workload::Plaintext);
        response.headers.push(("server".to_owned(), "x".to_owned()));
        compare(&response, Workload::Plaintext, &[("server", "x")], true).unwrap();
        compare(&response, Workload::Plaintext, &[], false).unwrap();
        for other in [
            &[][..],
            &[("server", "y")],
            &[("connection", "close"), ("server", "x")],
        ] {
            compare(&response, Workload::Plaintext, other, true).unwrap_err();
        }
    }

    #[test]
    fn case_of_upgrade_headers_is_ignored() {
        let mut response = expected(Workload::WebSocket16);
        for (_, value) in response
            .headers
            .iter_mut()
            .filter(|(name, _)| name != "sec-websocket-accept")
        {
            *value = value.to_ascii_uppercase();
        }
        compare(&response, Workload::WebSocket16, &[], true).unwrap();
    }

    #[test]
    fn other_responses_are_errors() {
        type Change = fn(&mut Response);
        let changes: [(Change, &str); 5] = [
            (
                |response| response.status = 404,
                "status 404 instead of 200",
            ),
            (|response| response.body.push(b'!'), "`Hello, World!!`"),
            (
                |response| response.headers[0].1 = "14".to_owned(),
                "content-length",
            ),
            (|response| drop(response.headers.pop()), "0 `date` headers"),
            (
                |response| response.headers.push(("server".to_owned(), "x".to_owned())),
                "server",
            ),
        ];
        for (change, what) in changes {
            let error = error(Workload::Plaintext, change);
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn errors_of_long_bodies_give_length_and_position() {
        let cut = error(Workload::Echo, |response| response.body.truncate(4000));
        assert!(
            cut.contains("4000 bytes instead of 4096, which differ from byte 4000 on"),
            "{cut}"
        );
        let moved = error(Workload::Download64K, |response| {
            response.body.rotate_left(256)
        });
        assert!(moved.contains("which differ from byte 0 on"), "{moved}");
    }

    #[test]
    fn upgrades_need_status_and_proof() {
        let status = error(Workload::WebSocket16, |response| response.status = 200);
        assert!(status.contains("status 200 instead of 101"), "{status}");
        let accept = error(Workload::WebSocket16, |response| {
            response.headers[1].1 = "x".to_owned();
        });
        assert!(accept.contains("sec-websocket-accept"), "{accept}");
    }
}
