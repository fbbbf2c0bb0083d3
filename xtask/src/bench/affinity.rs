//! Which cores server and load have.

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::ffi::OsString;
use std::num::NonZeroUsize;

/// Where load and server run; dropped, this thread runs where it did before.
#[derive(Debug)]
pub(super) struct Place {
    before: CpuSet,
    /// The cores of the server, one per worker if there are as many, and of the load, which is this
    /// thread; nothing if both have the same one.
    apart: Option<(Vec<usize>, usize)>,
}

impl Place {
    /// Pins this thread, if there's a core left for the server.
    pub(super) fn apart(workers: NonZeroUsize) -> anyhow::Result<Self> {
        let before = allowed()?;
        let mut cores: Vec<usize> = each(&before).take(workers.get() + 1).collect();
        let load = cores.pop().filter(|_| !cores.is_empty());
        let apart = load.map(|load| (cores, load));
        if let Some((_, load)) = apart {
            pin(load)?;
        }
        Ok(Self { before, apart })
    }

    /// Pins this thread and whatever it starts from now on to one core, so that load and server
    /// never run at once.
    pub(super) fn shared() -> anyhow::Result<Self> {
        let before = allowed()?;
        pin(each(&before).next().context("there's no core")?)?;
        Ok(Self {
            before,
            apart: None,
        })
    }

    pub(super) fn is_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// How many the server has.
    pub(super) fn cores(&self) -> usize {
        self.apart.as_ref().map_or(1, |(server, _)| server.len())
    }

    /// Those of both; none if they have any.
    pub(super) fn watched(&self) -> Vec<usize> {
        let apart = self.apart.iter();
        apart
            .flat_map(|(server, load)| server.iter().chain([load]))
            .copied()
            .collect()
    }

    pub(super) fn wrapper(&self) -> Vec<OsString> {
        match &self.apart {
            Some((server, _)) => {
                let cores: Vec<String> = server.iter().map(ToString::to_string).collect();
                ["taskset", "-c", &cores.join(",")]
                    .map(OsString::from)
                    .to_vec()
            }
            None => Vec::new(),
        }
    }
}

fn allowed() -> anyhow::Result<CpuSet> {
    sched_getaffinity(None).context("cannot ask which cores there are")
}

fn each(cores: &CpuSet) -> impl Iterator<Item = usize> {
    (0..CpuSet::MAX_CPU).filter(|&core| cores.is_set(core))
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).with_context(|| format!("cannot pin the load to core {core}"))
}

impl Drop for Place {
    fn drop(&mut self) {
        // They were good before.
        let _ = sched_setaffinity(None, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::{NonZeroUsize, Place, sched_getaffinity};

    #[test]
    fn a_thread_that_was_pinned_runs_where_it_did_before() {
        let before = sched_getaffinity(None).unwrap();
        let ways = [
            (|| Place::apart(NonZeroUsize::MIN)) as fn() -> _,
            Place::shared,
        ];
        for (way, is_apart) in ways.into_iter().zip([before.count() > 1, false]) {
            let place = way().unwrap();
            assert_eq!((place.is_apart(), place.cores()), (is_apart, 1));
            assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
            drop(place);
            assert_eq!(sched_getaffinity(None).unwrap(), before);
        }
    }
}
