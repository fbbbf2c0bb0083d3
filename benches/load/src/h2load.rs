//! nghttp2's `h2load`, for HTTP/2.

use crate::{CpuUse, Load, Outcome, children_time, require};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long h2load may take beyond its duration. It hangs now and then, over TLS above all.
const ALLOWANCE: Duration = Duration::from_secs(5);
/// The exit code of timeout(1) after its time is over.
const TIMED_OUT: i32 = 124;

/// h2load, which opens its own connections in each run.
#[derive(Debug)]
pub struct H2Load {
    /// Where.
    pub address: Address,
    /// How many connections it opens.
    pub connections: usize,
    /// How many requests are in flight on each connection.
    pub streams: usize,
}

impl Load for H2Load {
    /// Responses count with status 200 and a body of the expected length. CPU time is that from
    /// h2load's start to its end, in steps of 10 ms.
    fn run_for(&mut self, duration: Duration) -> anyhow::Result<Outcome> {
        require("h2load", "nghttp2-client")?;
        let before = children_time()?;
        let begun = Instant::now();
        let output = self.command(duration).output();
        let output = output.context("cannot run h2load")?;
        let cpu = CpuUse {
            elapsed: begun.elapsed(),
            cpu: children_time()?.saturating_sub(before),
        };
        let status = output.status;
        anyhow::ensure!(
            status.code() != Some(TIMED_OUT),
            "h2load did not end within {:?}",
            duration + ALLOWANCE
        );
        anyhow::ensure!(status.success(), "h2load ended with {status}");
        let text = String::from_utf8_lossy(&output.stdout);
        let body = Workload::Plaintext.response_body().len() as u64;
        let (count, rate) = read_output(&text, body)?;
        Ok(Outcome {
            count,
            rate: Some(rate),
            cpu,
        })
    }
}

impl H2Load {
    fn command(&self, duration: Duration) -> Command {
        let seconds = (duration + ALLOWANCE).as_secs_f64();
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", &seconds.to_string(), "h2load"]);
        command.args(["--clients", &self.connections.to_string()]);
        command.args(["--duration", &format!("{}ms", duration.as_millis())]);
        command.args(["--max-concurrent-streams", &self.streams.to_string()]);
        let path = Workload::Plaintext.path();
        match &self.address {
            Address::Tcp(address) => command.arg(format!("http://{address}{path}")),
            Address::Tls(address) => command
                .args(["--tls13-ciphers=TLS_AES_256_GCM_SHA384", "--groups=X25519"])
                .arg(format!("https://{address}{path}")),
            Address::Unix(socket) => command
                .arg(format!("--base-uri=unix:{}", socket.display()))
                .arg(format!("http://localhost{path}")),
        };
        command
    }
}

/// How many requests succeeded, and how many per second.
fn read_output(text: &str, body: u64) -> anyhow::Result<(u64, f64)> {
    let line = |start: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        line.with_context(|| format!("h2load printed no line `{start}`"))
    };
    let requests = line("requests: ")?;
    let (started, succeeded): (u64, u64) =
        (before(requests, "started")?, before(requests, "succeeded")?);
    let failed: u64 = before(requests, "failed")?;
    anyhow::ensure!(failed == 0, "{failed} requests failed, says h2load");
    anyhow::ensure!(succeeded > 0, "no request had a response, says h2load");
    let redirected: u64 = before(line("status codes: ")?, "3xx")?;
    anyhow::ensure!(
        redirected == 0,
        "{redirected} responses were redirections, says h2load"
    );
    let traffic = line("traffic: ")?;
    let data = traffic
        .rsplit(", ")
        .next()
        .and_then(|data| data.split(['(', ')']).nth(1));
    let data: u64 = data
        .and_then(|data| data.parse().ok())
        .with_context(|| format!("h2load printed `traffic: {traffic}`"))?;
    // At the end of the time, some bodies are in flight.
    anyhow::ensure!(
        (succeeded * body..=started * body).contains(&data),
        "{succeeded} bodies of {body} bytes each were expected, and {data} bytes came, says h2load"
    );
    Ok((succeeded, before(line("finished in ")?, "req/s")?))
}

/// The number before a word.
fn before<T: FromStr>(text: &str, word: &str) -> anyhow::Result<T> {
    let part = text.split(", ").find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("h2load printed `{text}`, without the number of `{word}`"))
}

#[cfg(test)]
mod tests {
    use super::read_output;

    const OUTPUT: &str = "\
finished in 200.17ms, 3205.00 req/s, 231.22KB/s
requests: 641 total, 645 started, 641 done, 641 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 641 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 46.24KB (47350) total, 22.54KB (23076) headers (space savings 61.00%), 8.14KB (8333) data
";

    #[test]
    fn requests_and_rate_are_read() {
        assert_eq!(read_output(OUTPUT, 13).unwrap(), (641, 3205.0));
    }

    #[test]
    fn failures_and_wrong_bodies_are_errors() {
        for (from, to, error) in [
            ("0 failed", "3 failed", "3 requests failed"),
            ("0 3xx", "2 3xx", "2 responses were redirections"),
            ("(8333) data", "(9) data", "9 bytes came"),
            ("requests: ", "nothing: ", "no line `requests: `"),
        ] {
            let read = read_output(&OUTPUT.replace(from, to), 13)
                .unwrap_err()
                .to_string();
            assert!(read.contains(error), "{read}");
        }
    }
}
