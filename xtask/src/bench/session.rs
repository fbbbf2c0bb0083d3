//! What all figures share: the flags, the folders, the flag that Ctrl-C sets, the progress bar.

use super::build::{Binaries, build};
use super::run_folder::RunFolder;
use super::scenario::Scenario;
use super::server::Server;
use super::target::{Allocator, Target};
use super::turns::{Course, Logged};
use anyhow::Context as _;
use anyport_bench_load::{Address, Interrupted, Latency, Patience};
use cargo_metadata::{Metadata, camino::Utf8PathBuf};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::cell::Cell;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::sync::{Arc, atomic::AtomicBool};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may be silent: under valgrind the slowest of them needs some seconds to start.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) struct Session {
    pub(super) targets: Vec<Target>,
    /// How many each server has.
    pub(super) workers: NonZeroUsize,
    pub(super) patience: Patience,
    pub(super) progress: ProgressBar,
    /// What stands before the bar: which part of a run it is.
    pub(super) prefix: String,
    /// Where the Unix sockets and the output of the tools lie; removed at the end.
    pub(super) scratch: TempDir,
    /// Where the workspace's own output goes.
    pub(super) target_dir: Utf8PathBuf,
    pub(super) root: Utf8PathBuf,
    /// Where all that's measured is kept, if it is.
    pub(super) folder: Option<RunFolder>,
    /// Why it couldn't be kept.
    trouble: Cell<Option<anyhow::Error>>,
    /// How many Unix sockets servers have had.
    sockets: Cell<usize>,
    listen: Address,
}

impl Session {
    pub(super) fn new(targets: &[Target], listen: &Address, metadata: &Metadata) -> anyhow::Result<Self> {
        let mut unique = Vec::new();
        for &target in targets {
            if !unique.contains(&target) {
                unique.push(target);
            }
        }
        raise_descriptor_limit();
        Ok(Self {
            targets: unique,
            workers: NonZeroUsize::MIN,
            patience: Patience::new(SILENCE, stop_flag()?),
            progress: ProgressBar::hidden(),
            prefix: String::new(),
            scratch: tempfile::tempdir().context("cannot make a temporary folder")?,
            target_dir: metadata.target_directory.clone(),
            root: metadata.workspace_root.clone(),
            folder: None,
            trouble: Cell::new(None),
            sockets: Cell::new(0),
            listen: listen.clone(),
        })
    }

    /// Builds what the targets need.
    pub(super) fn build(
        &self,
        targets: &[Target],
        allocators: &[Allocator],
    ) -> Result<Binaries, Interrupted> {
        build(self, targets, allocators)
    }

    /// Keeps what a window brought, if that's wanted. Where it can't be, the run ends: measuring for nothing helps nobody.
    pub(super) fn keep_window(&self, window: &Logged<'_>) -> Result<(), Interrupted> {
        self.keep(|folder| folder.log(window))
    }

    /// Keeps how late all answers of a target were.
    pub(super) fn keep_latency(
        &self,
        course: &Course,
        target: Target,
        latency: &Latency,
    ) -> Result<(), Interrupted> {
        self.keep(|folder| folder.add_latency(course, target, latency))
    }

    fn keep(&self, keep: impl FnOnce(&RunFolder) -> anyhow::Result<()>) -> Result<(), Interrupted> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        keep(folder).map_err(|error| {
            self.trouble.set(Some(error));
            Interrupted
        })
    }

    /// Why the run had to end, if that's nobody's wish.
    pub(super) fn trouble(&self) -> Option<anyhow::Error> {
        self.trouble.take()
    }

    /// Shows that `steps` are to come, if there's a terminal to show it on.
    pub(super) fn expect(&mut self, steps: usize) {
        let style = ProgressStyle::with_template(
            "{prefix}{elapsed_precise} [{bar:24}] {pos}/{len}, {eta} left: {msg}",
        );
        self.progress = ProgressBar::new(steps as u64)
            .with_prefix(self.prefix.clone())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.progress.enable_steady_tick(Duration::from_millis(200));
    }

    /// Whether several servers can listen at once.
    pub(super) fn has_ports(&self) -> bool {
        match &self.listen {
            Address::Tcp(address) | Address::Tls(address) => address.port() == 0,
            Address::Unix(_) => false,
        }
    }

    /// Starts a server that's to be asked for this, under `wrapper` if that's not empty.
    pub(super) fn start(
        &self,
        binaries: &Binaries,
        target: Target,
        scenario: Scenario,
        allocator: Allocator,
        wrapper: &[OsString],
    ) -> anyhow::Result<Server> {
        let program = binaries.program(target, allocator)?;
        let listen = match (target.transport(), &self.listen) {
            ("unix", _) => {
                self.sockets.set(self.sockets.get() + 1);
                let name = format!("{}.sock", self.sockets.get());
                Address::Unix(self.scratch.path().join(name))
            }
            ("tls", &Address::Tcp(address)) => Address::Tls(address),
            (_, listen) => listen.clone(),
        };
        Server::start(
            program,
            &target.arguments(self.workers, scenario)?,
            &listen,
            wrapper,
            self.scratch.path(),
            &self.patience,
        )?
        .checked(target, scenario)
    }
}

/// Set by Ctrl-C, SIGTERM and SIGHUP; the second Ctrl-C ends the process at once, and the servers end with it.
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

/// Thousands of connections need as many descriptors, here and in the servers, which inherit the limit.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it can't be raised, the first connection that's too many says so.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}
