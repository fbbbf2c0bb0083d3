//! The processes of a server: their memory and their descriptors.

use anyhow::Context as _;
use procfs::process::{Process, Stat, all_processes};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::{fs, io};

/// A process in a group of its own, which Ctrl-C in a terminal does not reach. Dropped, the whole
/// group ends.
#[derive(Debug)]
pub(super) struct Group(pub(super) Child);

impl Group {
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    /// The number of its first process, and of the group.
    pub(super) fn number(&self) -> i32 {
        Pid::from_child(&self.0).as_raw_pid()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Not once its first process is reaped, since the number may be reused then.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

/// The numbers of the processes. The first is the server's own.
#[derive(Clone, Debug)]
pub(super) struct Processes(Vec<i32>);

impl Processes {
    pub(super) fn of(process: i32) -> Self {
        Self(vec![process])
    }

    /// A process, the others of its group, and all their descendants.
    pub(super) fn below(root: i32) -> anyhow::Result<Self> {
        // A process may end between two reads.
        let stats = all_processes()
            .context("cannot read /proc")?
            .flatten()
            .filter_map(|of| of.stat().ok());
        let stats: Vec<_> = stats.collect();
        let mut tree = vec![root];
        loop {
            let is_new = |stat: &&Stat| {
                !tree.contains(&stat.pid) && (stat.pgrp == root || tree.contains(&stat.ppid))
            };
            let new: Vec<i32> = stats.iter().filter(is_new).map(|stat| stat.pid).collect();
            if new.is_empty() {
                return Ok(Self(tree));
            }
            tree.extend(new);
        }
    }

    pub(super) fn numbers(&self) -> &[i32] {
        &self.0
    }

    /// How many descriptors they have open.
    pub(super) fn descriptors(&self) -> anyhow::Result<usize> {
        self.sum(|process| Ok(process.fd_count()? as u64))
            .map(|count| count as usize)
    }

    /// Bytes of memory that are shared with no other process.
    pub(super) fn private_memory(&self) -> anyhow::Result<u64> {
        self.sum(|process| {
            let rollup = process
                .smaps_rollup()
                .context("cannot read /proc/PID/smaps_rollup")?;
            let map = rollup.memory_map_rollup.into_iter().next();
            let map = map.context("/proc/PID/smaps_rollup is empty")?;
            let bytes = |key| map.extension.map.get(key).copied();
            let private = bytes("Private_Clean").zip(bytes("Private_Dirty"));
            let (clean, dirty) = private
                .context("/proc/PID/smaps_rollup has no `Private_Clean` and `Private_Dirty`")?;
            Ok(clean + dirty)
        })
    }

    /// The largest resident memory in bytes since [`reset_peak`](Self::reset_peak).
    pub(super) fn peak_memory(&self) -> anyhow::Result<u64> {
        self.sum(|process| {
            let kibibytes = process
                .status()?
                .vmhwm
                .context("/proc/PID/status has no `VmHWM`")?;
            Ok(kibibytes * 1024)
        })
    }

    /// Resets the peak (proc(5), /proc/PID/clear_refs).
    pub(super) fn reset_peak(&self) -> anyhow::Result<()> {
        for process in &self.0 {
            fs::write(format!("/proc/{process}/clear_refs"), "5")
                .context("cannot reset the peak of memory")?;
        }
        Ok(())
    }

    fn sum(&self, each: impl Fn(&Process) -> anyhow::Result<u64>) -> anyhow::Result<u64> {
        let mut sum = 0;
        for &process in &self.0 {
            sum += each(&Process::new(process).context("the server is gone")?)?;
        }
        Ok(sum)
    }
}
