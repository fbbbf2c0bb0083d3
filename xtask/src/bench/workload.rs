//! What the targets are asked for, and how the load is made.

use anyhow::Context as _;
use anyport_bench_load::{
    Address, Amount, Churn, ClosedLoop, Effort, H2Load, Handshake, Handshakes, Mixed, Patience,
    Workload,
};
use std::num::NonZeroU64;
use std::time::Duration;

/// Requests in flight on each connection of HTTP/2: enough that responses share their writes.
const STREAMS: usize = 8;

/// A workload, as the command line and the tables name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) connections: usize,
    /// What its figures are per.
    pub(super) each: &'static str,
    pub(super) about: &'static str,
}

/// How it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Connections that ask again as soon as they have their response.
    Closed(Workload),
    /// The same over HTTP/2, by h2load.
    Http2,
    /// A constant rate, by h2load.
    Latency,
    /// A new connection for each request.
    Churn,
    /// A new connection for each TLS handshake.
    Handshakes(Handshake),
    /// All kinds of connections.
    Mixed,
    /// Connections that are only there.
    Idle,
    /// User instructions and allocations of a workload, by callgrind.
    Instructions(Workload),
    /// System calls of a workload, by perf.
    Syscalls(Workload),
}

/// All of them, in the order of the tables.
pub(super) static ALL: &[Scenario] = &[
    closed(
        "plaintext",
        Workload::Plaintext,
        64,
        "`GET /`: 13 bytes of text",
    ),
    closed(
        "plaintext-1",
        Workload::Plaintext,
        1,
        "the same on one connection, which shares nothing",
    ),
    closed(
        "headers",
        Workload::Headers,
        64,
        "the same with the twelve headers of a browser",
    ),
    closed(
        "json",
        Workload::Json,
        64,
        "`GET /json`: an object that is serialized each time",
    ),
    closed(
        "echo-4k",
        Workload::Echo,
        64,
        "`POST /echo`: 4 KiB that come back",
    ),
    closed(
        "download-64k",
        Workload::Download64K,
        16,
        "`GET /download/64k`",
    ),
    closed(
        "download-1m",
        Workload::Download1M,
        16,
        "`GET /download/1m`",
    ),
    closed(
        "discard-64k",
        Workload::Discard64K,
        16,
        "`POST /discard`: a body that is read and thrown away",
    ),
    closed(
        "discard-16m",
        Workload::Discard16M,
        4,
        "the same with 16 MiB",
    ),
    closed(
        "collect-64k",
        Workload::Collect64K,
        16,
        "`POST /upload`: a body that is collected",
    ),
    closed(
        "collect-16m",
        Workload::Collect16M,
        4,
        "the same with 16 MiB",
    ),
    closed(
        "layers",
        Workload::Layers,
        64,
        "`GET /layers`: an axum route with tower-http layers",
    ),
    Scenario {
        each: "message",
        ..closed(
            "websocket",
            Workload::WebSocket,
            64,
            "`GET /websocket`: messages that come back",
        )
    },
    scenario(
        "plaintext-h2",
        Kind::Http2,
        16,
        "request",
        "`GET /` over HTTP/2, eight at a time on each connection",
    ),
    scenario(
        "latency",
        Kind::Latency,
        16,
        "request",
        "`GET /` at a rate that is the same for all",
    ),
    scenario(
        "churn",
        Kind::Churn,
        16,
        "connection",
        "a new connection for each `GET /`",
    ),
    scenario(
        "handshakes-full",
        Kind::Handshakes(Handshake::Full),
        16,
        "handshake",
        "full TLS 1.3 handshakes",
    ),
    scenario(
        "handshakes-resumed",
        Kind::Handshakes(Handshake::Resumed),
        16,
        "handshake",
        "TLS 1.3 handshakes with a ticket",
    ),
    scenario(
        "mixed",
        Kind::Mixed,
        40,
        "response",
        "kept-alive and new connections, 13 bytes to 1 MiB, slow readers",
    ),
    scenario(
        "idle",
        Kind::Idle,
        1000,
        "connection",
        "connections that are only there",
    ),
    scenario(
        "instructions",
        Kind::Instructions(Workload::Plaintext),
        8,
        "request",
        "`GET /`, counted by callgrind",
    ),
    scenario(
        "syscalls",
        Kind::Syscalls(Workload::Plaintext),
        64,
        "request",
        "`GET /`, counted by perf",
    ),
    scenario(
        "instructions-upload",
        Kind::Instructions(Workload::Discard16M),
        4,
        "upload",
        "`POST /discard` with 16 MiB, counted by callgrind",
    ),
    scenario(
        "syscalls-upload",
        Kind::Syscalls(Workload::Discard16M),
        4,
        "upload",
        "`POST /discard` with 16 MiB, counted by perf",
    ),
];

const fn closed(
    name: &'static str,
    workload: Workload,
    connections: usize,
    about: &'static str,
) -> Scenario {
    scenario(name, Kind::Closed(workload), connections, "request", about)
}

const fn scenario(
    name: &'static str,
    kind: Kind,
    connections: usize,
    each: &'static str,
    about: &'static str,
) -> Scenario {
    Scenario {
        name,
        kind,
        connections,
        each,
        about,
    }
}

/// The one of this name.
pub(super) fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// Whether its figures depend on time.
    pub(super) fn is_timed(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Idle | Kind::Instructions(_) | Kind::Syscalls(_)
        )
    }

    pub(super) fn is_handshake(&self) -> bool {
        matches!(self.kind, Kind::Handshakes(_))
    }

    pub(super) fn needs_valgrind(&self) -> bool {
        matches!(self.kind, Kind::Instructions(_))
    }

    pub(super) fn is_http2(&self) -> bool {
        self.kind == Kind::Http2
    }

    /// Whether its windows go in slices, in turns with those of other targets: a load that is a
    /// program of its own has its connections for one run only.
    pub(super) fn is_in_slices(&self) -> bool {
        !matches!(self.kind, Kind::Http2 | Kind::Latency)
    }

    /// Whether the memory of the server is of interest.
    pub(super) fn has_peak(&self) -> bool {
        let download = |workload| matches!(workload, Workload::Download64K | Workload::Download1M);
        matches!(self.kind, Kind::Closed(workload) if workload.upload() > 4096 || download(workload))
            || self.kind == Kind::Mixed
    }

    /// What the response is compared with.
    pub(super) fn workload(&self) -> Option<Workload> {
        match self.kind {
            Kind::Closed(workload) | Kind::Instructions(workload) | Kind::Syscalls(workload) => {
                Some(workload)
            }
            Kind::Handshakes(_) => None,
            Kind::Http2 | Kind::Latency | Kind::Churn | Kind::Mixed | Kind::Idle => {
                Some(Workload::Plaintext)
            }
        }
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// When the server does not play along.
    pub(super) fn load(
        &self,
        address: &Address,
        rate: f64,
        patience: &Patience,
    ) -> anyhow::Result<Load> {
        let connections = self.connections;
        let outside = |tool| Load::Outside(tool, address.clone(), connections, patience.clone());
        Ok(match self.kind {
            Kind::Closed(workload) => Load::Closed(ClosedLoop::connect(
                address,
                workload,
                connections,
                patience,
            )?),
            Kind::Http2 => outside(H2Load::Http2 { streams: STREAMS }),
            Kind::Latency => outside(H2Load::Paced { rate }),
            Kind::Churn => Load::Churn(Churn::new(
                address,
                Workload::Plaintext,
                connections,
                NonZeroU64::MIN,
                patience,
            )?),
            Kind::Handshakes(handshake) => {
                Load::Handshakes(Handshakes::new(address, connections, handshake, patience)?)
            }
            Kind::Mixed => Load::Mixed(Box::new(Mixed::connect(address, connections, patience)?)),
            Kind::Idle | Kind::Instructions(_) | Kind::Syscalls(_) => {
                anyhow::bail!("`{}` is not measured by time", self.name)
            }
        })
    }
}

/// What keeps a server busy.
pub(super) enum Load {
    Closed(ClosedLoop),
    Churn(Churn),
    Handshakes(Handshakes),
    Mixed(Box<Mixed>),
    Outside(H2Load, Address, usize, Patience),
}

/// What a load did.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) count: u64,
    /// How many there were in a second, if that is not their number divided by the time.
    pub(super) rate: Option<f64>,
    /// What the load took itself.
    pub(super) effort: Effort,
    /// The 50th and the 99th percentile in microseconds.
    pub(super) latency: Option<(f64, f64)>,
}

impl Load {
    /// All that was begun within the time, and ended.
    pub(super) fn run(&mut self, duration: Duration) -> anyhow::Result<Done> {
        let done = |count, effort| Done {
            count,
            effort,
            ..Done::default()
        };
        let amount = Amount::For(duration);
        Ok(match self {
            Self::Closed(load) => {
                let outcome = load.run(amount)?;
                done(outcome.requests, outcome.effort)
            }
            Self::Churn(load) => {
                let outcome = load.run(amount)?;
                done(outcome.connections, outcome.effort)
            }
            Self::Handshakes(load) => {
                let outcome = load.run(amount)?;
                done(outcome.handshakes, outcome.effort)
            }
            Self::Mixed(load) => {
                let (responses, effort) = load.run(duration)?;
                done(responses, effort)
            }
            Self::Outside(tool, address, connections, patience) => {
                let outcome = tool.run(
                    address,
                    Workload::Plaintext,
                    *connections,
                    duration,
                    patience,
                )?;
                let at = |share: f64| {
                    let last = outcome.latencies.len().checked_sub(1)?;
                    Some(outcome.latencies[(share * last as f64) as usize] as f64)
                };
                Done {
                    rate: Some(outcome.rate),
                    latency: at(0.5).zip(at(0.99)),
                    ..done(outcome.requests, outcome.effort)
                }
            }
        })
    }

    /// How many connections had no response since this was last asked.
    pub(super) fn starved(&mut self) -> usize {
        match self {
            Self::Closed(load) => load.starved(),
            _ => 0,
        }
    }
}

/// Compares one response over HTTP/2 with what it has to be.
///
/// # Errors
///
/// When curl is missing, or the response is another one.
pub(super) fn check_http2(address: &Address) -> anyhow::Result<()> {
    anyport_bench_load::look_for("curl", "curl")?;
    let mut curl = std::process::Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "--insecure",
        "--noproxy",
        "*",
    ]);
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
    let output = curl
        .args(["--write-out", "\n%{http_version} %{response_code}"])
        .output()
        .context("cannot run curl")?;
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

#[cfg(test)]
mod tests {
    use super::{ALL, Kind, named};
    use anyport_bench_child::Workload;

    #[test]
    fn names_are_unique() {
        for scenario in ALL {
            assert!(
                std::ptr::eq(named(scenario.name).unwrap(), scenario),
                "{}",
                scenario.name
            );
        }
    }

    #[test]
    fn each_workload_of_the_servers_is_asked_for() {
        for workload in Workload::ALL {
            assert!(
                ALL.iter()
                    .any(|scenario| scenario.kind == Kind::Closed(workload)),
                "{workload}"
            );
        }
    }

    #[test]
    fn memory_is_told_of_uploads_and_downloads() {
        let told: Vec<&str> = ALL
            .iter()
            .filter(|scenario| scenario.has_peak())
            .map(|of| of.name)
            .collect();
        let expected =
            "download-64k download-1m discard-64k discard-16m collect-64k collect-16m mixed";
        assert_eq!(told.join(" "), expected);
    }
}
