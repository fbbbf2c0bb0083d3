//! What h2load prints.

use anyhow::Context as _;
use std::str::FromStr;

#[derive(Debug, PartialEq)]
pub(super) struct Output {
    protocol: String,
    /// Requests in a second: of the time that it took, or of the one that was ordered. The time itself is printed in steps of up to 10 ms, with
    /// that of connecting and closing in it.
    pub(super) rate: f64,
    /// Requests in a second of the connection that had the fewest.
    pub(super) lowest_rate: f64,
    started: u64,
    pub(super) succeeded: u64,
    failed: u64,
    redirected: u64,
    /// Bytes of all bodies.
    data: u64,
}

impl Output {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let line = |start: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(start));
            line.with_context(|| format!("h2load printed no line `{start}`"))
        };
        let requests = line("requests: ")?;
        let traffic = line("traffic: ")?;
        let data = traffic
            .rsplit(", ")
            .next()
            .and_then(|data| data.split(['(', ')']).nth(1));
        Ok(Self {
            // Nothing, if there was no connection.
            protocol: line("Application protocol: ").unwrap_or("none").to_owned(),
            rate: before(line("finished in ")?, "req/s")?,
            lowest_rate: lowest(line("req/s")?)?,
            started: before(requests, "started")?,
            succeeded: before(requests, "succeeded")?,
            failed: before(requests, "failed")?,
            redirected: before(line("status codes: ")?, "3xx")?,
            data: data
                .and_then(|data| data.parse().ok())
                .with_context(|| format!("h2load's traffic was `{traffic}`"))?,
        })
    }

    /// Whether all that was asked was answered, with bodies of `body` bytes.
    pub(super) fn check(&self, body: u64, protocol: &str) -> anyhow::Result<()> {
        let Self {
            started,
            succeeded,
            failed,
            redirected,
            data,
            ..
        } = *self;
        anyhow::ensure!(failed == 0, "{failed} requests failed, says h2load");
        anyhow::ensure!(succeeded > 0, "no request was answered, says h2load");
        anyhow::ensure!(
            self.protocol == protocol,
            "h2load spoke {} instead of {protocol}",
            self.protocol
        );
        anyhow::ensure!(
            redirected == 0,
            "{redirected} of {succeeded} requests were answered with a redirection, says h2load"
        );
        // When time is over, some bodies are on their way.
        anyhow::ensure!(
            data >= succeeded * body && data <= started * body,
            "{succeeded} bodies of {body} bytes each were expected, and {data} bytes came, says h2load"
        );
        Ok(())
    }
}

/// The number before a word.
fn before<T: FromStr>(text: &str, word: &str) -> anyhow::Result<T> {
    let part = text.split(", ").find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("h2load printed `{text}`, without the number of `{word}`"))
}

/// `  :   315.25   535.22   449.56   59.40   71.88%`: the lowest of all comes first.
fn lowest(text: &str) -> anyhow::Result<f64> {
    let number = text.split_whitespace().find_map(|word| word.parse().ok());
    number.with_context(|| format!("h2load printed `req/s{text}`, without a number"))
}

#[cfg(test)]
mod tests {
    use super::Output;

    /// All of h2load 1.52, whose time has another step in each.
    const HALF_A_SECOND: &str = include_str!("printed/half_a_second.txt");
    const MORE_THAN_A_SECOND: &str = include_str!("printed/more_than_a_second.txt");
    const REQUESTS: &str = include_str!("printed/requests.txt");

    #[test]
    fn the_figures_are_read() {
        let output = Output::parse(REQUESTS).unwrap();
        let expected = Output {
            protocol: "h2c".to_owned(),
            rate: 26_119.25,
            lowest_rate: 6_530.16,
            started: 200_000,
            succeeded: 200_000,
            failed: 0,
            redirected: 0,
            data: 2_600_000,
        };
        assert_eq!(output, expected);
        output.check(13, "h2c").unwrap();
    }

    #[test]
    fn a_rate_is_as_fine_as_it_can_be() {
        // "528.81ms" and "1.20s" stand there, neither of which was ordered; and "7.66s", which is in steps of 10 ms.
        for (printed, seconds) in [
            (HALF_A_SECOND, 0.5),
            (MORE_THAN_A_SECOND, 1.2),
            (REQUESTS, 7.657_187),
        ] {
            let output = Output::parse(printed).unwrap();
            output.check(13, "h2c").unwrap();
            let difference = output.succeeded as f64 / output.rate - seconds;
            assert!(difference.abs() < 2e-6, "{difference} s");
        }
    }

    #[test]
    fn a_starved_connection_has_no_rate() {
        let lowest = |printed: &str| Output::parse(printed).unwrap().lowest_rate;
        assert_eq!(lowest(HALF_A_SECOND), 315.25);
        assert_eq!(lowest(&HALF_A_SECOND.replace("315.25", "  0.00")), 0.0);
    }

    #[test]
    fn what_went_wrong_is_told() {
        for (from, to, what) in [
            ("0 failed", "3 failed", "3 requests failed"),
            ("200000 succeeded", "0 succeeded", "no request was answered"),
            (
                "0 3xx",
                "10 3xx",
                "10 of 200000 requests were answered with a redirection",
            ),
            ("(2600000)", "(2599999)", "2599999 bytes came"),
            ("(2600000)", "(2600001)", "2600001 bytes came"),
            ("h2c", "http/1.1", "spoke http/1.1 instead of h2c"),
        ] {
            let output = Output::parse(&REQUESTS.replace(from, to)).unwrap();
            let error = output.check(13, "h2c").unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn another_print_is_no_figure() {
        for (printed, what) in [
            ("h2load 99".to_owned(), "no line `requests: `"),
            (
                REQUESTS.replace("200000 started", "some started"),
                "without the number of `started`",
            ),
            (
                REQUESTS.replace("26119.25 req/s", "many req/s"),
                "without the number of `req/s`",
            ),
        ] {
            let error = Output::parse(&printed).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
