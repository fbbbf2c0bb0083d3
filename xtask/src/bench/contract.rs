//! The contract of a server: nothing is measured that gives another response than all others.

use super::target::Target;
use super::workload::Scenario;
use anyhow::Context as _;
use anyport_bench_load::{Address, Answer, Crowd, Patience, Workload, ask};
use std::process::Command;

/// What RFC 6455 1.3 makes of the key that stands there, which is the load's.
const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Headers whose values are of either case (RFC 9110 7.6.1 and 7.8).
const CASELESS: [&str; 2] = ["connection", "upgrade"];
/// A longer body is no text that anybody would read in a message.
const READABLE: usize = 100;

/// Asks once, and compares; of a handshake, only that it is made.
///
/// # Errors
///
/// When there is no response, or another one.
pub(super) fn check(
    target: &Target,
    address: &Address,
    scenario: &Scenario,
    patience: &Patience,
) -> anyhow::Result<()> {
    let Some(workload) = scenario.workload() else {
        return Crowd::connect(address, Workload::Plaintext, 1, patience)?.open_each();
    };
    if scenario.is_http2() {
        return check_http2(address);
    }
    let answer = ask(address, workload, patience)?;
    let own = match workload.is_websocket() {
        true => target.upgrade_headers,
        false => target.own_headers,
    };
    // Somebody else's server may have whatever headers it likes.
    let checked = compare(&answer, workload, own, !target.is_given());
    let method = if workload.upload() > 0 { "POST" } else { "GET" };
    checked.map_err(|error| anyhow::anyhow!("{method} {}: {error:#}", workload.path()))
}

/// `own` are headers beside the common ones; `strictly` allows no others.
fn compare(
    answer: &Answer,
    workload: Workload,
    own: &[(&'static str, &str)],
    strictly: bool,
) -> anyhow::Result<()> {
    let status = status(workload);
    anyhow::ensure!(
        answer.status == status,
        "it answers status {} instead of {status}",
        answer.status
    );
    compare_bodies(&answer.body, &workload.response_body())?;
    if !strictly {
        return Ok(());
    }
    let (dates, headers): (Vec<_>, Vec<_>) = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), comparable(name, value)))
        .partition(|&(name, _)| name == "date");
    // Of an interim or an upgrade it is optional (RFC 9110 6.6.1).
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

/// All but `date`, in the order of their names.
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

/// Compares one response over HTTP/2 with what it has to be.
fn check_http2(address: &Address) -> anyhow::Result<()> {
    anyport_bench_load::look_for("curl", "curl")?;
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
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = "Hello, World!\n2 200";
    anyhow::ensure!(
        said == expected,
        "over HTTP/2 it answers `{}{}` instead of `{expected}`",
        said.trim_end(),
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
        .take_while(|(came, due)| came == due);
    anyhow::bail!(
        "it answers {} bytes instead of {}, which differ from byte {} on",
        body.len(),
        expected.len(),
        same.count()
    );
}

#[cfg(test)]
mod tests {
    use super::{Answer, Workload, compare, expected_headers, status};

    fn expected(workload: Workload) -> Answer {
        let date = ("date", "Tue, 24 Nov 2026 12:00:00 GMT".to_owned());
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Answer {
            status: status(workload),
            headers: expected_headers(workload)
                .into_iter()
                .chain([date])
                .map(owned)
                .collect(),
            body: workload.response_body(),
        }
    }

    fn refusal(workload: Workload, change: fn(&mut Answer)) -> String {
        let mut answer = expected(workload);
        change(&mut answer);
        compare(&answer, workload, &[], true)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_common_answers_pass() {
        for workload in Workload::ALL {
            compare(&expected(workload), workload, &[], true).unwrap();
        }
    }

    #[test]
    fn headers_of_its_own_are_its_alone() {
        let mut answer = expected(Workload::Plaintext);
        answer.headers.push(("server".to_owned(), "x".to_owned()));
        compare(&answer, Workload::Plaintext, &[("server", "x")], true).unwrap();
        compare(&answer, Workload::Plaintext, &[], false).unwrap();
        for other in [
            &[][..],
            &[("server", "y")],
            &[("connection", "close"), ("server", "x")],
        ] {
            compare(&answer, Workload::Plaintext, other, true).unwrap_err();
        }
    }

    #[test]
    fn an_upgrade_may_be_written_in_either_case() {
        let mut answer = expected(Workload::WebSocket16);
        for (_, value) in answer
            .headers
            .iter_mut()
            .filter(|(name, _)| name != "sec-websocket-accept")
        {
            *value = value.to_ascii_uppercase();
        }
        compare(&answer, Workload::WebSocket16, &[], true).unwrap();
    }

    #[test]
    fn any_other_is_told_apart() {
        type Change = fn(&mut Answer);
        let changes: [(Change, &str); 5] = [
            (|answer| answer.status = 404, "status 404 instead of 200"),
            (|answer| answer.body.push(b'!'), "`Hello, World!!`"),
            (
                |answer| answer.headers[0].1 = "14".to_owned(),
                "content-length",
            ),
            (|answer| drop(answer.headers.pop()), "0 `date` headers"),
            (
                |answer| answer.headers.push(("server".to_owned(), "x".to_owned())),
                "server",
            ),
        ];
        for (change, what) in changes {
            let error = refusal(Workload::Plaintext, change);
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_long_body_is_told_apart_without_being_printed() {
        let cut = refusal(Workload::Echo, |answer| answer.body.truncate(4000));
        assert!(
            cut.contains("4000 bytes instead of 4096, which differ from byte 4000 on"),
            "{cut}"
        );
        let moved = refusal(Workload::Download64K, |answer| answer.body.rotate_left(256));
        assert!(moved.contains("which differ from byte 0 on"), "{moved}");
    }

    #[test]
    fn an_upgrade_without_its_proof_is_refused() {
        let status = refusal(Workload::WebSocket16, |answer| answer.status = 200);
        assert!(status.contains("status 200 instead of 101"), "{status}");
        let accept = refusal(Workload::WebSocket16, |answer| {
            answer.headers[1].1 = "x".to_owned();
        });
        assert!(accept.contains("sec-websocket-accept"), "{accept}");
    }
}
