//! Pins the load and the servers to cores.

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::ffi::OsString;
use std::num::NonZeroUsize;

/// The cores of this thread, which is the load, and of the servers. Dropped, this thread gets its
/// former cores back.
#[derive(Debug)]
pub(super) struct Pinning {
    before: CpuSet,
    /// The cores of the server, one per worker if there are as many, and last the core of the load.
    /// None if they share one core.
    cores: Vec<usize>,
}

impl Pinning {
    /// Pins this thread, if that leaves a core for the server.
    pub(super) fn separate(workers: NonZeroUsize) -> anyhow::Result<Self> {
        let before = allowed()?;
        let mut cores: Vec<usize> = each(&before).take(workers.get() + 1).collect();
        match cores[..] {
            [_, .., load] => pin(load)?,
            _ => cores.clear(),
        }
        Ok(Self { before, cores })
    }

    /// Pins this thread, and what it starts from now on, to one core. So load and server never run
    /// at the same time.
    pub(super) fn shared() -> anyhow::Result<Self> {
        let before = allowed()?;
        pin(each(&before).next().context("there is no core")?)?;
        Ok(Self {
            before,
            cores: Vec::new(),
        })
    }

    pub(super) fn is_separate(&self) -> bool {
        !self.cores.is_empty()
    }

    /// How many cores the server has.
    pub(super) fn server_cores(&self) -> usize {
        self.cores.len().saturating_sub(1).max(1)
    }

    /// The cores of server and load. Empty if neither is pinned.
    pub(super) fn cores(&self) -> &[usize] {
        &self.cores
    }

    /// The words before a server's command that pin it.
    pub(super) fn wrapper(&self) -> Vec<OsString> {
        let Some((_, server)) = self.cores.split_last() else {
            return Vec::new();
        };
        let cores: Vec<String> = server.iter().map(ToString::to_string).collect();
        vec!["taskset".into(), "-c".into(), cores.join(",").into()]
    }
}

fn allowed() -> anyhow::Result<CpuSet> {
    sched_getaffinity(None).context("cannot read which cores this process may use")
}

fn each(cores: &CpuSet) -> impl Iterator<Item = usize> {
    (0..CpuSet::MAX_CPU).filter(|&core| cores.is_set(core))
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).with_context(|| format!("cannot pin the load to core {core}"))
}

impl Drop for Pinning {
    fn drop(&mut self) {
        // The kernel allowed these cores before.
        let _ = sched_setaffinity(None, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::{NonZeroUsize, Pinning, sched_getaffinity};

    #[test]
    fn dropped_pinning_gives_the_cores_back() {
        let before = sched_getaffinity(None).unwrap();
        for pin in [|| Pinning::separate(NonZeroUsize::MIN), Pinning::shared] {
            let pinning = pin().unwrap();
            assert_eq!(pinning.server_cores(), 1);
            assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
            drop(pinning);
            assert_eq!(sched_getaffinity(None).unwrap(), before);
        }
    }
}
