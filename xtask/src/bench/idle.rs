//! The private memory of idle connections.

use super::context::{Context, descriptors};
use super::results::{Counts, Results};
use super::row::Unit;
use super::server::{Server, Start};
use super::target::Target;
use super::workload::Scenario;
use anyhow::Context as _;
use anyport_bench_load::{IdleConnections, Interrupted, Timeout, Workload};
use std::time::Duration;

/// For an allocator to return what it does not keep.
const SETTLE: Duration = Duration::from_millis(300);
/// For how long a connection is idle after its response.
const IDLE: Duration = Duration::from_secs(2);
/// mimalloc takes huge pages of 2 MiB where it can, whose steps would hide the connections.
const SMALL_PAGES: &[(&str, &str)] = &[("MIMALLOC_ALLOW_THP", "0")];
/// At most so many connections are open at once, whatever the limit of descriptors is.
const MOST: usize = 18_000;
/// The other server has so many times fewer.
const FEW: usize = 4;
/// Descriptors that are not connections.
const OTHERS: usize = 500;

/// A server with few connections and one with many. The difference is the connections' memory: both
/// have what an allocator keeps whatever their number is.
struct Pair<'a> {
    target: &'a Target,
    few: (Server, IdleConnections),
    many: (Server, IdleConnections),
    /// The difference in connections.
    more: usize,
    fresh: f64,
}

/// Measures all targets once, as many at a time as there are descriptors for. They share the
/// waiting.
pub(super) fn measure(
    context: &Context,
    targets: &[&Target],
    scenario: &Scenario,
    connections: usize,
    results: &mut Results,
) -> Result<(), Interrupted> {
    let descriptors = descriptors().saturating_sub(OTHERS).min(MOST);
    let pairs = descriptors / (connections + connections / FEW);
    for some in targets.chunks(pairs.clamp(1, 16)) {
        let names: Vec<&str> = some.iter().map(|target| target.name.as_str()).collect();
        let progress = format!("{}: {}", scenario.name, names.join(", "));
        context.progress.show(&progress);
        let mut pairs = Vec::new();
        for &target in some {
            match Pair::start(context, target, scenario, connections) {
                Ok(pair) => pairs.push(pair),
                Err(error) => results.fail(target, scenario, &error),
            }
        }
        context.timeout.sleep(SETTLE)?;
        pairs.retain_mut(|pair| match pair.request() {
            Ok(()) => true,
            Err(error) => {
                let error = pair.many.0.explain(error);
                results.fail(pair.target, scenario, &error);
                false
            }
        });
        context.timeout.sleep(IDLE)?;
        for pair in pairs {
            results.add(pair.target, scenario, pair.finish());
        }
        context.timeout.check()?;
    }
    Ok(())
}

impl<'a> Pair<'a> {
    fn start(
        context: &Context,
        target: &'a Target,
        scenario: &Scenario,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let workload = scenario.workload();
        let start = Start {
            environment: SMALL_PAGES,
            ..Start::default()
        };
        let start = |connections: usize| {
            let mut server = Server::start(context, target, start)?;
            let idle = connect(&server, workload, connections, &context.timeout);
            let idle = idle.map_err(|error| server.explain(error))?;
            Ok::<_, anyhow::Error>((server, idle))
        };
        let few = connections / FEW;
        Ok(Self {
            target,
            few: start(few)?,
            many: start(connections)?,
            more: connections - few,
            fresh: 0.0,
        })
    }

    /// Measures the fresh connections, and sends a request on each.
    fn request(&mut self) -> anyhow::Result<()> {
        self.fresh = self.kibibytes()?;
        self.few.1.request()?;
        self.many.1.request()
    }

    /// Of one connection.
    fn kibibytes(&self) -> anyhow::Result<f64> {
        let many = self.many.0.processes().private_memory()?;
        let few = self.few.0.processes().private_memory()?;
        Ok((many as f64 - few as f64) / 1024.0 / self.more as f64)
    }

    fn finish(self) -> anyhow::Result<Counts> {
        let kept = self.kibibytes()?;
        let (many, few) = (self.many.0.accepted()?, self.few.0.accepted()?);
        anyhow::ensure!(
            many.saturating_sub(few) >= self.more,
            "the server closed idle connections"
        );
        drop((self.many.1, self.few.1));
        self.many.0.stop()?;
        self.few.0.stop()?;
        Ok(vec![(Unit::Fresh, self.fresh), (Unit::Kept, kept)])
    }
}

/// Connects. A fresh connection sends nothing, so only the server's descriptors show that it has
/// accepted it.
fn connect(
    server: &Server,
    workload: Workload,
    connections: usize,
    timeout: &Timeout,
) -> anyhow::Result<IdleConnections> {
    let mut idle = IdleConnections::connect(server.address(), workload, connections, timeout)?;
    let accepted = timeout.poll(|| Ok((server.accepted()? >= connections).then_some(())))?;
    accepted.with_context(|| format!("the server did not accept {connections} connections"))?;
    if workload.is_websocket() {
        idle.open()?;
    }
    Ok(idle)
}
