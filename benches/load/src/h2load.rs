//! HTTP/2, by nghttp2's `h2load`: a closed loop of streams. There's no open loop of it here, and no churn.

mod output;

use crate::{Amount, Effort, Interrupted, Latency, Patience, children_time, look_for};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use output::Output;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "h2load";
const PACKAGE: &str = "nghttp2-client";
/// How long it may take beyond what it was told.
const ALLOWANCE: Duration = Duration::from_secs(5);

/// Connections that each keep a number of requests in flight; each run opens its own.
#[derive(Debug)]
pub struct H2Load {
    address: Address,
    workload: Workload,
    connections: NonZeroUsize,
    streams: NonZeroUsize,
    latency: bool,
    patience: Patience,
}

/// What a run brought.
#[derive(Clone, Debug)]
pub struct H2Outcome {
    /// Those that were answered with a 200 and a body of the expected length, whose bytes nobody looked at.
    pub requests: u64,
    /// How many there were in a second, as h2load tells it: for a time, of that time, in which the connections are opened, too.
    pub rate: f64,
    /// Whether a connection had no answer until the time was over; h2load doesn't say how many. A server that serves only some is no faster for it.
    pub starved: bool,
    /// What h2load took itself, from its start to its end, in steps of 10 ms.
    pub effort: Effort,
    /// From each request's sending to the end of its answer, if that was asked for, in microseconds.
    pub latency: Option<Latency>,
}

impl H2Load {
    /// For cleartext (h2c) it's spoken from the first byte ("prior knowledge"), over TLS 1.3 agreed on by ALPN, with the suite and the key exchange of the other loads.
    ///
    /// # Errors
    ///
    /// When `h2load` isn't there, or when the workload is a WebSocket.
    pub fn new(
        address: &Address,
        workload: Workload,
        connections: NonZeroUsize,
        streams: NonZeroUsize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            workload != Workload::WebSocket,
            "h2load speaks no WebSockets; take one of the workloads over HTTP"
        );
        look_for(PROGRAM, PACKAGE)?;
        Ok(Self {
            address: address.clone(),
            workload,
            connections,
            streams,
            latency: false,
            patience: patience.clone(),
        })
    }

    /// Tells the latency of each request, for which h2load writes a line per request.
    #[must_use]
    pub fn with_latency(mut self) -> Self {
        self.latency = true;
        self
    }

    /// Asks, and waits for h2load's end.
    ///
    /// # Errors
    ///
    /// When a request failed, wasn't answered with a 200 or the right length, or when h2load doesn't end in time.
    pub fn run(&self, amount: Amount) -> anyhow::Result<H2Outcome> {
        let folder = tempfile::tempdir().context("cannot make a folder for h2load's output")?;
        let (stdout, log) = (folder.path().join("stdout"), folder.path().join("log"));
        let mut command = self.command(amount, folder.path())?;
        command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(File::create(&stdout)?);
        if self.latency {
            command.arg("--log-file").arg(&log);
        }
        let before = children_time()?;
        let begun = std::time::Instant::now();
        let child = command.spawn().with_context(|| format!("cannot run {PROGRAM}"))?;
        let limit = match amount {
            Amount::For(duration) => duration + ALLOWANCE + self.patience.silence(),
            Amount::Requests(_) => self.patience.silence(),
        };
        Ended::wait(child, &self.patience.of(limit))?;
        let effort = Effort {
            elapsed: begun.elapsed(),
            cpu: children_time()?.saturating_sub(before),
        };
        let text = fs::read_to_string(&stdout).context("cannot read h2load's output")?;
        let output = Output::parse(&text)?;
        output.check(self.workload.response_body().len() as u64, self.protocol())?;
        Ok(H2Outcome {
            requests: output.succeeded,
            rate: output.rate,
            starved: output.lowest_rate == 0.0,
            effort,
            latency: self.latency.then(|| read_log(&log)).transpose()?,
        })
    }

    fn protocol(&self) -> &'static str {
        match self.address {
            Address::Tls(_) => "h2",
            _ => "h2c",
        }
    }

    fn command(&self, amount: Amount, folder: &Path) -> anyhow::Result<Command> {
        let mut command = Command::new(PROGRAM);
        command
            .arg("--clients")
            .arg(self.connections.to_string())
            .arg("--max-concurrent-streams")
            .arg(self.streams.to_string());
        match amount {
            Amount::Requests(requests) => {
                let connections = self.connections.get() as u64;
                anyhow::ensure!(
                    requests >= connections,
                    "{requests} requests are fewer than the {connections} connections; h2load needs one for each"
                );
                command.arg("--requests").arg(requests.to_string());
            }
            Amount::For(duration) => {
                command
                    .arg("--duration")
                    .arg(format!("{}ms", duration.as_millis()));
            }
        }
        let body = self.workload.request_body();
        if !body.is_empty() {
            let file = folder.join("body");
            fs::write(&file, body).context("cannot write the request's body")?;
            command.arg("--data").arg(file);
        }
        let path = self.workload.path();
        match &self.address {
            Address::Tcp(address) => command.arg(format!("http://{address}{path}")),
            Address::Tls(address) => command
                .args(["--tls13-ciphers=TLS_AES_256_GCM_SHA384", "--groups=X25519"])
                .arg(format!("https://{address}{path}")),
            Address::Unix(socket) => command
                .arg(format!("--base-uri=unix:{}", socket.display()))
                .arg(format!("http://localhost{path}")),
        };
        Ok(command)
    }
}

/// A child that doesn't outlive whoever waits for it.
struct Ended(Child);

impl Ended {
    fn wait(child: Child, patience: &Patience) -> anyhow::Result<()> {
        let mut child = Self(child);
        let status = patience
            .poll(|| {
                // It tells its figures at its end only.
                anyhow::ensure!(!patience.is_over(), Interrupted);
                Ok(child.0.try_wait()?)
            })?
            .with_context(|| format!("{PROGRAM} didn't end within {:?}", patience.silence()))?;
        anyhow::ensure!(status.success(), "{PROGRAM} ended with {status}");
        Ok(())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended already, or nobody wants its result.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line for each request: when it began, its status, and the microseconds that it took.
fn read_log(path: &Path) -> anyhow::Result<Latency> {
    let file = File::open(path).context("h2load wrote no log")?;
    let mut latency = Latency::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        let microseconds = line.split('\t').nth(2).and_then(|field| field.parse().ok());
        let microseconds = microseconds.with_context(|| format!("h2load logged `{line}`"))?;
        latency.record(Duration::from_micros(microseconds));
    }
    Ok(latency)
}
