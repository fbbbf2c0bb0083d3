//! What a connection costs that is only there: how a server's private memory grows with their
//! number.

use super::build::Binaries;
use super::context::{Context, descriptors};
use super::server::{Server, Start};
use super::target::Target;
use anyhow::Context as _;
use anyport_bench_load::{Crowd, Interrupted, Patience, Workload};
use std::time::Duration;

/// What an allocator may need to give back what it doesn't.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a connection that was used has been idle.
const REST: Duration = Duration::from_secs(2);
/// mimalloc takes huge pages of 2 MiB where it can, whose steps would hide the connections.
const SMALL_PAGES: &[(&str, &str)] = &[("MIMALLOC_ALLOW_THP", "0")];
/// As many connections are open at once at the most, whatever the limit of descriptors is.
const MOST: usize = 18_000;
/// The other server has so many times fewer.
const FEW: usize = 4;
/// Descriptors that are not connections.
const OTHERS: usize = 500;

/// KiB of a connection: fresh, and kept alive.
pub(super) type Memory = (f64, f64);

/// A server with few connections and one with many: what they differ by is the connections', and
/// what an allocator keeps whatever their number is in neither.
struct Pair<'a> {
    target: &'a Target,
    few: Server,
    full: Server,
    /// Of both.
    crowds: [Crowd; 2],
    /// By how many connections they differ.
    more: usize,
    fresh: f64,
}

/// Measures all targets once, as many at a time as there are descriptors for: they share the
/// waiting.
pub(super) fn measure(
    context: &Context,
    binaries: &Binaries,
    targets: &[&Target],
    workload: Workload,
    connections: usize,
) -> Result<Vec<(String, anyhow::Result<Memory>)>, Interrupted> {
    let room = descriptors().saturating_sub(OTHERS).min(MOST) / (connections + connections / FEW);
    let mut measured = Vec::new();
    for some in targets.chunks(room.clamp(1, 16)) {
        let names: Vec<&str> = some.iter().map(|target| target.name.as_str()).collect();
        context
            .progress
            .step(&format!("idle connections: {}", names.join(", ")));
        measured.extend(together(context, binaries, some, workload, connections));
        context.patience.check()?;
    }
    Ok(measured)
}

fn together(
    context: &Context,
    binaries: &Binaries,
    targets: &[&Target],
    workload: Workload,
    connections: usize,
) -> Vec<(String, anyhow::Result<Memory>)> {
    let (mut pairs, mut measured) = (Vec::new(), Vec::new());
    for &target in targets {
        match Pair::begin(context, binaries, target, workload, connections) {
            Ok(pair) => pairs.push(pair),
            Err(error) => measured.push((target.name.clone(), Err(error))),
        }
    }
    let _ = context.patience.pause(SETTLE);
    let mut settled = Vec::new();
    for mut pair in pairs {
        let asked = pair.growth().and_then(|fresh| {
            pair.fresh = fresh;
            pair.crowds.iter_mut().try_for_each(Crowd::ask_each)
        });
        match asked {
            Ok(()) => settled.push(pair),
            Err(error) => measured.push((pair.target.name.clone(), Err(pair.full.explain(error)))),
        }
    }
    let _ = context.patience.pause(REST);
    for pair in settled {
        let name = pair.target.name.clone();
        measured.push((name, pair.end()));
    }
    measured
}

impl<'a> Pair<'a> {
    fn begin(
        context: &Context,
        binaries: &Binaries,
        target: &'a Target,
        workload: Workload,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let start = Start {
            environment: SMALL_PAGES,
            ..Start::default()
        };
        let begin = |connections: usize| {
            let mut server = Server::start(context, binaries, target, start)?;
            let crowd = gather(&server, workload, connections, &context.patience);
            Ok::<_, anyhow::Error>((crowd.map_err(|error| server.explain(error))?, server))
        };
        let ((few_crowd, few), (crowd, full)) = (begin(connections / FEW)?, begin(connections)?);
        Ok(Self {
            target,
            few,
            full,
            crowds: [few_crowd, crowd],
            more: connections - connections / FEW,
            fresh: 0.0,
        })
    }

    /// KiB of a connection.
    fn growth(&self) -> anyhow::Result<f64> {
        let (full, few) = (
            self.full.processes().private_memory()?,
            self.few.processes().private_memory()?,
        );
        Ok((full as f64 - few as f64) / 1024.0 / self.more as f64)
    }

    fn end(self) -> anyhow::Result<Memory> {
        let kept = self.growth()?;
        let left = self.full.accepted()?.saturating_sub(self.few.accepted()?);
        anyhow::ensure!(
            left >= self.more,
            "the server closed idle connections meanwhile"
        );
        drop(self.crowds);
        self.full.stop()?;
        self.few.stop()?;
        Ok((self.fresh, kept))
    }
}

/// Opens them. A fresh connection says nothing, so only the server's descriptors tell that it has
/// accepted it.
fn gather(
    server: &Server,
    workload: Workload,
    connections: usize,
    patience: &Patience,
) -> anyhow::Result<Crowd> {
    let mut crowd = Crowd::connect(server.address(), workload, connections, patience)?;
    patience
        .poll(|| Ok((server.accepted()? >= connections).then_some(())))?
        .with_context(|| format!("the server did not accept {connections} connections"))?;
    if workload.is_websocket() {
        crowd.open_each()?;
    }
    Ok(crowd)
}
