//! The command line.

use anyport_bench_load::{Address, Amount, Workload};
use clap::{Args, Parser, Subcommand};
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// Load for a server of this machine, from one thread.
///
/// Ctrl-C ends a run, and prints what there was; a second one ends at once.
#[derive(Debug, Parser)]
#[command(name = "anyport-bench-load")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) kind: Kind,
    /// One JSON object instead of lines
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long the server may be silent
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) patience: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Kind {
    /// Each connection asks again as soon as it's answered: how much the server can do
    Closed(Closed),
    /// Requests at a constant rate, with latencies from the time at which each was due: how long users wait
    Open(Open),
    /// New connections all the time, of a few requests each, with full TLS handshakes
    Churn(Churn),
    /// Connections that say nothing
    Idle(Idle),
    /// Connections that send their requests byte by byte
    Slow(Slow),
    /// HTTP/2 by h2load: each stream asks again as soon as it's answered
    H2(H2),
}

#[derive(Debug, Args)]
pub(crate) struct Closed {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) length: Length,
    /// Requests in flight per connection; more than 1 is synthetic
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) pipeline: NonZeroUsize,
    /// Tell latencies, too; they omit what a stalled server wasn't asked
    #[arg(long)]
    pub(crate) latency: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Requests per second, over all connections
    #[arg(long, value_name = "N")]
    pub(crate) rate: f64,
}

#[derive(Debug, Args)]
pub(crate) struct Churn {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) length: Length,
    /// Requests of each connection, the last of which says `Connection: close`
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) requests_each: NonZeroU64,
}

#[derive(Debug, Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Let each ask once before
    #[arg(long)]
    pub(crate) kept_alive: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Slow {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Between two bytes of a connection
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = humantime::parse_duration)]
    pub(crate) pause: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct H2 {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) length: Length,
    /// Requests in flight per connection
    #[arg(long, value_name = "N", default_value = "16")]
    pub(crate) streams: NonZeroUsize,
    /// Tell latencies, too
    #[arg(long)]
    pub(crate) latency: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Target {
    /// IP:PORT of this machine, tls:IP:PORT, or unix:PATH
    pub(crate) address: Address,
    /// plaintext, json, echo-4k, download-64k, download-1m, upload-1m, websocket
    #[arg(long, value_name = "NAME", default_value_t = Workload::Plaintext)]
    pub(crate) workload: Workload,
    /// How many at once
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) connections: NonZeroUsize,
}

#[derive(Debug, Args)]
pub(crate) struct Span {
    /// 500ms, 5s, 2min
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Length {
    #[command(flatten)]
    span: Span,
    /// Exactly so many requests (of `churn`: connections) instead of a duration
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    requests: Option<u64>,
}

impl Length {
    pub(crate) fn amount(&self) -> Amount {
        self.requests
            .map_or(Amount::For(self.span.duration), Amount::Requests)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn no_address_beyond_this_machine_is_taken() {
        let error = Options::try_parse_from(["load", "closed", "192.0.2.1:80"]).unwrap_err();
        assert!(error.to_string().contains("stays on this machine"), "{error}");
    }

    #[test]
    fn what_is_no_number_of_connections_is_refused() {
        for connections in ["0", "-1", "many"] {
            let words = ["load", "closed", "--connections", connections, "127.0.0.1:80"];
            Options::try_parse_from(words).unwrap_err();
        }
    }
}
