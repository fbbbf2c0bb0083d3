//! What h2load prints.

use anyhow::Context as _;
use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Output {
    protocol: String,
    pub(super) elapsed: Duration,
    started: u64,
    pub(super) succeeded: u64,
    failed: u64,
    ok: u64,
    /// Bytes of all bodies.
    data: u64,
}

impl Output {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let line = |start: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(start));
            line.with_context(|| format!("h2load printed no line `{start}`"))
        };
        let finished = line("finished in ")?;
        let elapsed = finished.split(',').next().unwrap_or_default();
        let requests = line("requests: ")?;
        let traffic = line("traffic: ")?;
        let data = traffic
            .rsplit(", ")
            .next()
            .and_then(|data| data.split(['(', ')']).nth(1));
        Ok(Self {
            // Nothing, if there was no connection.
            protocol: line("Application protocol: ").unwrap_or("none").to_owned(),
            elapsed: duration(elapsed).with_context(|| format!("h2load finished in `{elapsed}`"))?,
            started: before(requests, "started")?,
            succeeded: before(requests, "succeeded")?,
            failed: before(requests, "failed")?,
            ok: before(line("status codes: ")?, "2xx")?,
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
            ok,
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
            ok == succeeded,
            "{} of {succeeded} requests were answered with another status than 200, says h2load",
            succeeded - ok.min(succeeded)
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
fn before(text: &str, word: &str) -> anyhow::Result<u64> {
    let part = text.split(", ").find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("h2load printed `{text}`, without the number of `{word}`"))
}

/// `15.78ms`, `1.01s`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * seconds))
}

#[cfg(test)]
mod tests {
    use super::{Output, duration};
    use std::time::Duration;

    /// Of h2load 1.52.
    const PRINTED: &str = "\
starting benchmark...
spawning thread #0: 4 total client(s). 2000 total requests
Application protocol: h2c
progress: 100% done

finished in 15.78ms, 126782.88 req/s, 4.75MB/s
requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 76.66KB (78504) total, 15.88KB (16260) headers (space savings 91.53%), 25.39KB (26000) data
                     min         max         mean         sd        +/- sd
time for request:       47us       336us       153us        67us    59.10%
";

    #[test]
    fn the_figures_are_read() {
        let output = Output::parse(PRINTED).unwrap();
        let expected = Output {
            protocol: "h2c".to_owned(),
            elapsed: Duration::from_micros(15_780),
            started: 2000,
            succeeded: 2000,
            failed: 0,
            ok: 2000,
            data: 26_000,
        };
        assert_eq!(output, expected);
        output.check(13, "h2c").unwrap();
    }

    #[test]
    fn what_went_wrong_is_told() {
        for (from, to, what) in [
            ("0 failed", "3 failed", "3 requests failed"),
            ("2000 succeeded", "0 succeeded", "no request was answered"),
            (
                "2000 2xx",
                "1990 2xx",
                "10 of 2000 requests were answered with another status",
            ),
            ("(26000)", "(25999)", "25999 bytes came"),
            ("(26000)", "(26001)", "26001 bytes came"),
            ("h2c", "http/1.1", "spoke http/1.1 instead of h2c"),
        ] {
            let output = Output::parse(&PRINTED.replace(from, to)).unwrap();
            let error = output.check(13, "h2c").unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn another_print_is_no_figure() {
        let error = Output::parse("h2load 99").unwrap_err().to_string();
        assert!(error.contains("no line `finished in `"), "{error}");
        let error = Output::parse(&PRINTED.replace("2000 started", "some started")).unwrap_err();
        assert!(
            error.to_string().contains("without the number of `started`"),
            "{error}"
        );
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250us"), Some(Duration::from_micros(250)));
        assert_eq!(duration("1.50s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("3h"), None);
        assert_eq!(duration("4"), None);
    }
}
