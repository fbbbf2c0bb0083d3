//! The contract of a server: no server is measured that gives another response than all others.

use super::target::Target;
use super::workload::Scenario;
use anyport_bench_load::{Address, IdleConnections, Response, Timeout, Workload, fetch};

/// Longer bodies are not in error messages.
const READABLE: usize = 100;

/// Sends one request, and compares the response.
pub(super) fn check(
    target: &Target,
    address: &Address,
    scenario: &Scenario,
    timeout: &Timeout,
) -> anyhow::Result<()> {
    let workload = scenario.workload();
    if scenario.is_http2() {
        // h2load checks the status and the length of each response.
        return Ok(());
    }
    let checked = if workload.is_websocket() {
        IdleConnections::connect(address, workload, 1, timeout).and_then(|mut one| one.request())
    } else {
        // Servers of the user may have any headers.
        let headers = (!target.is_given()).then_some(target.own_headers);
        fetch(address, workload, timeout).and_then(|response| compare(&response, workload, headers))
    };
    let method = if workload.upload() > 0 { "POST" } else { "GET" };
    checked.map_err(|error| anyhow::anyhow!("{method} {}: {error:#}", workload.path()))
}

/// `own` are headers beside those of all servers. Without it, headers are not compared.
fn compare(
    response: &Response,
    workload: Workload,
    own: Option<&[(&'static str, &str)]>,
) -> anyhow::Result<()> {
    let status = response.status;
    anyhow::ensure!(status == 200, "it answers status {status} instead of 200");
    compare_bodies(&response.body, &workload.response_body())?;
    let Some(own) = own else { return Ok(()) };
    let (dates, headers): (Vec<_>, Vec<_>) = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .partition(|&(name, _)| name == "date");
    anyhow::ensure!(
        dates.len() == 1,
        "it sends {} `date` headers instead of one",
        dates.len()
    );
    let length = response.body.len().to_string();
    let mut expected = vec![
        ("content-length", length.as_str()),
        ("content-type", workload.content_type()),
    ];
    expected.extend(own);
    expected.sort_unstable();
    anyhow::ensure!(
        headers == expected,
        "it sends the headers {headers:?} instead of {expected:?}"
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
    use super::{Response, Workload, compare};

    fn response(workload: Workload) -> Response {
        let body = workload.response_body();
        let headers = [
            ("content-length", body.len().to_string()),
            ("content-type", workload.content_type().to_owned()),
            ("date", "Tue, 24 Nov 2026 12:00:00 GMT".to_owned()),
        ];
        Response {
            status: 200,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body,
        }
    }

    #[test]
    fn only_expected_responses_pass() {
        type Change = fn(&mut Response);
        let changes: [(Workload, Change, &str); 7] = [
            (
                Workload::Plaintext,
                |response| response.status = 404,
                "status 404 instead of 200",
            ),
            (
                Workload::Plaintext,
                |response| response.body.push(b'!'),
                "`Hello, World!!` instead of `Hello, World!`",
            ),
            (
                Workload::Json,
                |response| response.headers[0].1 = "14".to_owned(),
                "content-length",
            ),
            (
                Workload::Plaintext,
                |response| drop(response.headers.pop()),
                "0 `date` headers",
            ),
            (
                Workload::Plaintext,
                |response| response.headers.push(("server".to_owned(), "y".to_owned())),
                "server",
            ),
            (
                Workload::Echo,
                |response| response.body.truncate(4000),
                "4000 bytes instead of 4096, which differ from byte 4000 on",
            ),
            (
                Workload::Download64K,
                |response| response.body.rotate_left(256),
                "which differ from byte 0 on",
            ),
        ];
        for (workload, change, what) in changes {
            let mut response = response(workload);
            compare(&response, workload, Some(&[])).unwrap();
            change(&mut response);
            let error = compare(&response, workload, Some(&[])).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn own_headers_are_allowed_to_their_target() {
        let mut response = response(Workload::Plaintext);
        response.headers.push(("server".to_owned(), "x".to_owned()));
        compare(&response, Workload::Plaintext, Some(&[("server", "x")])).unwrap();
        compare(&response, Workload::Plaintext, None).unwrap();
    }
}
