//! What all stages share: folders, the flag that Ctrl-C sets, the progress.

use super::build::Binaries;
use super::progress::Progress;
use anyhow::Context as _;
use anyport_bench_load::Timeout;
use cargo_metadata::{Metadata, camino::Utf8PathBuf};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::num::NonZeroUsize;
use std::sync::{Arc, atomic::AtomicBool};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may send nothing. Under valgrind, some need seconds to start.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Context {
    /// How many workers each server has.
    pub(super) workers: NonZeroUsize,
    pub(super) timeout: Timeout,
    pub(super) progress: Progress,
    /// Of all targets, once they are built.
    pub(super) binaries: Binaries,
    /// For sockets and the output of tools; removed at the end.
    pub(super) scratch: TempDir,
    /// The workspace's target directory.
    pub(super) target_dir: Utf8PathBuf,
    pub(super) root: Utf8PathBuf,
}

impl Context {
    pub(super) fn new(metadata: &Metadata, workers: NonZeroUsize) -> anyhow::Result<Self> {
        raise_descriptor_limit();
        Ok(Self {
            workers,
            timeout: Timeout::new(TIMEOUT, stop_flag()?),
            progress: Progress::new(),
            binaries: Binaries::new(),
            scratch: tempfile::tempdir().context("cannot make a temporary folder")?,
            target_dir: metadata.target_directory.clone(),
            root: metadata.workspace_root.clone(),
        })
    }
}

/// How many descriptors this process may have.
pub(super) fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Set by Ctrl-C, SIGTERM and SIGHUP. The second signal ends the process at once, and the servers
/// with it.
fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    const INTERRUPTED: i32 = 130;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(stop)
}

/// Thousands of connections need as many descriptors, here and in the servers, which inherit the
/// limit.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // If that fails, fewer connections are open at once.
    let _ = setrlimit(Resource::Nofile, all);
}
