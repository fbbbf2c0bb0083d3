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
    let headers = response.headers.iter();
    let (dates, headers): (Vec<_>, Vec<_>) = headers
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .partition(|&(name, _)| name == "date");
    let dates = dates.len();
    anyhow::ensure!(dates == 1, "it sends {dates} `date` headers instead of one");
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
    let both = [body, expected];
    let [text, expected_text] = both.map(String::from_utf8_lossy);
    let [length, expected_length] = both.map(<[u8]>::len);
    let pairs = body.iter().zip(expected);
    let same = pairs.take_while(|(one, other)| one == other).count();
    anyhow::ensure!(
        body == expected || length.max(expected_length) > READABLE,
        "it answers `{text}` instead of `{expected_text}`"
    );
    anyhow::ensure!(
        body == expected,
        "it answers {length} bytes instead of {expected_length}, which differ from byte {same} on"
    );
    Ok(())
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
        use Workload::{Download64K, Echo, Json, Plaintext};
        refused(Plaintext, "status 404 instead of 200", |of| of.status = 404);
        let bodies = "`Hello, World!!` instead of `Hello, World!`";
        refused(Plaintext, bodies, |of| of.body.push(b'!'));
        let length = |of: &mut Response| of.headers[0].1 = "14".to_owned();
        refused(Json, "content-length", length);
        refused(Plaintext, "0 `date` headers", |of| _ = of.headers.pop());
        let server = |of: &mut Response| of.headers.push(("server".to_owned(), "y".to_owned()));
        refused(Plaintext, "server", server);
        let lengths = "4000 bytes instead of 4096, which differ from byte 4000 on";
        refused(Echo, lengths, |of| of.body.truncate(4000));
        let byte = "which differ from byte 0 on";
        refused(Download64K, byte, |of| of.body.rotate_left(256));
    }

    /// The right response passes. After the change, it is refused with this error.
    fn refused(workload: Workload, expected: &str, change: fn(&mut Response)) {
        let mut response = response(workload);
        compare(&response, workload, Some(&[])).unwrap();
        change(&mut response);
        let error = compare(&response, workload, Some(&[])).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn own_headers_are_allowed_to_their_target() {
        let mut response = response(Workload::Plaintext);
        response.headers.push(("server".to_owned(), "x".to_owned()));
        compare(&response, Workload::Plaintext, Some(&[("server", "x")])).unwrap();
        compare(&response, Workload::Plaintext, None).unwrap();
    }
}
