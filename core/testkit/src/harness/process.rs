//! A server in a process of its own, which runs the test's binary once more. Measurements and
//! limits then concern the server alone. The module also has the resources of the current process,
//! and its limits.
use crate::harness::fixture::{TIMEOUT, descriptors};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use std::{
    collections::HashMap,
    env,
    ffi::OsString,
    fs::{self, DirEntry},
    io::{self, BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Instant,
};

/// Set in the process that is to be the server of a test.
const ROLE: &str = "ANYPORT_TEST_SERVER";

/// Prefix of the lines that are for the test; libtest prints lines of its own.
const MARK: &str = "server: ";

/// A server in a process of its own. It is killed if the test fails.
#[derive(Debug)]
pub struct Process {
    /// Its standard input is a pipe. The test may close it to end the server.
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// The resources that a process used in an interval.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Context switches, voluntary or not, of all threads that still run.
    pub switches: u64,
    /// CPU time of all threads, in hundredths of a second.
    pub ticks: u64,
}

impl Process {
    /// Starts this test in a process of its own and runs `body` there; `test` is the name of the
    /// test. In that process, `start` returns `None` at the end.
    ///
    /// # Panics
    ///
    /// The process cannot be started.
    pub fn start(test: &str, body: impl FnOnce(&mut dyn FnMut(&str))) -> Option<Self> {
        if env::var_os(ROLE).is_some() {
            // If the server hangs, this ends it: the test then reads the end of its output, and
            // fails.
            thread::spawn(|| {
                thread::sleep(4 * TIMEOUT);
                std::process::exit(2)
            });
            body(&mut |line| println!("{MARK}{line}"));
            return None;
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { child, lines })
    }

    /// The lines that the body prints.
    pub fn lines(&mut self) -> impl Iterator<Item = String> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()))
    }

    /// All lines that the body prints until it ends.
    ///
    /// # Panics
    ///
    /// The process failed.
    pub fn finish(mut self) -> Vec<String> {
        let said = self.lines().collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {said:#?}");
        said
    }

    /// The path of a file about the process (proc(5)).
    pub fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// Waits until the process has at least this many descriptors.
    ///
    /// # Panics
    ///
    /// It has fewer after [`TIMEOUT`].
    pub fn wait_for_descriptors(&self, count: usize) {
        let by = Instant::now() + TIMEOUT;
        let mut open = 0;
        while open < count {
            assert!(
                Instant::now() < by,
                "only {open} descriptors are open, not {count}"
            );
            thread::yield_now();
            open = fs::read_dir(self.proc("fd")).unwrap().count();
        }
    }

    /// The resources that the process uses while `run` runs.
    ///
    /// # Panics
    ///
    /// The process has ended.
    pub fn usage_during(&self, run: impl FnOnce()) -> Usage {
        let (switches, ticks) = (self.switches(), self.ticks());
        run();
        let new = |(thread, now): (&OsString, &u64)| {
            let before = switches.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        };
        Usage {
            switches: self.switches().iter().map(new).sum(),
            ticks: self.ticks() - ticks,
        }
    }

    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        // utime and stime are the columns 14 and 15. The second column ends with the only bracket
        // (proc(5)).
        let columns: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks = columns[11..13].iter();
        ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Context switches by thread.
    fn switches(&self) -> HashMap<OsString, u64> {
        let switches = |task: io::Result<DirEntry>| {
            let task = task.unwrap();
            // A thread that has just ended has no status file.
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let lines = status.lines();
            let counts = lines.filter_map(|line| line.split_once("ctxt_switches:"));
            let counts = counts.map(|(_, count)| count.trim().parse::<u64>().unwrap());
            Some((task.file_name(), counts.sum()))
        };
        let tasks = fs::read_dir(self.proc("task")).unwrap();
        tasks.filter_map(switches).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resources of this process (proc(5)).
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// Number of open descriptors.
    pub descriptors: usize,
    /// Number of threads, without the kernel's io_uring workers (`iou-wrk-..`), which come and go.
    pub threads: usize,
    /// Resident memory in bytes.
    pub memory: usize,
}

impl Resources {
    /// The current numbers.
    ///
    /// # Panics
    ///
    /// `/proc` is not mounted.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().split_whitespace().next().unwrap();
        Self {
            descriptors: descriptors(),
            threads: threads(),
            memory: kib.parse::<usize>().unwrap() * 1024,
        }
    }
}

fn threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads
        // A thread that has just ended has no name.
        .filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok())
        .filter(|name| !name.starts_with("iou-"))
        .count()
}

/// Sets the limit of open descriptors of this process.
///
/// # Panics
///
/// The limit is above the hard limit.
pub fn set_descriptor_limit(count: u64) {
    set_limit(Resource::Nofile, count);
}

/// Raises the limit of open descriptors to the hard limit, and returns it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    if let Some(most) = most {
        set_descriptor_limit(most);
    }
    most.unwrap_or(u64::MAX)
}

/// Sets the limit of locked memory of this process, in bytes.
///
/// # Panics
///
/// The limit is above the hard limit.
pub fn set_locked_memory_limit(bytes: u64) {
    set_limit(Resource::Memlock, bytes);
}

/// Applies the limit of locked memory to this thread and to the threads that it starts, even if the
/// user is root.
///
/// # Panics
///
/// The kernel refuses to drop the capability.
pub fn enforce_locked_memory_limit() {
    let mut sets = capabilities(None).unwrap();
    for set in [
        &mut sets.effective,
        &mut sets.permitted,
        &mut sets.inheritable,
    ] {
        set.remove(CapabilitySet::IPC_LOCK);
    }
    set_capabilities(None, sets).unwrap();
}

fn set_limit(what: Resource, amount: u64) {
    let maximum = getrlimit(what).maximum;
    let limit = Rlimit {
        current: Some(amount),
        maximum,
    };
    let allowed = setrlimit(what, limit);
    allowed.unwrap_or_else(|e| {
        panic!("{what:?}: {amount} is above the hard limit of {maximum:?}: {e}")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_end_do_not_disturb_the_usage() {
        let test = "harness::process::tests::threads_that_end_do_not_disturb_the_usage";
        let Some(mut process) = Process::start(test, |say| {
            // Runs until the test closes it.
            let closed = thread::spawn(|| io::stdin().lines().for_each(drop));
            say("begun");
            while !closed.is_finished() {
                let some = [(); 8].map(|()| thread::spawn(thread::yield_now));
                some.into_iter().for_each(|thread| thread.join().unwrap());
            }
        }) else {
            return;
        };
        assert_eq!(process.lines().next().unwrap(), "begun");
        for _ in 0..100 {
            process.usage_during(thread::yield_now);
        }
        drop(process.child.stdin.take());
        process.finish();
    }
}
