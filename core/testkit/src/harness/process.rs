//! Runs a server in a process of its own, by starting the test's binary again, so that its
//! resources and limits are its own. Also reads and sets the resources and limits of this process.
use crate::harness::scene::{PATIENCE, descriptors};
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

/// Tells the binary that it's to be the server of a test.
const ROLE: &str = "ANYPORT_TEST_SERVER";

/// What a server says before anything that the test is to read; libtest says things of its own.
const MARK: &str = "server: ";

/// A server in a process of its own; killed if the test fails.
#[derive(Debug)]
pub struct Process {
    /// Its standard input is a pipe, which tells it when to end, if the test says so.
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What a process has used up for a while.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often a thread slept or was made to, of those that haven't ended.
    pub switches: u64,
    /// Its time on a core, over all threads, in hundredths of a second.
    pub ticks: u64,
}

impl Process {
    /// Runs `body` in this test's own process, run once more; `test` is the test's name. There, it
    /// gives `None` at the end.
    ///
    /// # Panics
    ///
    /// There's no process to be had.
    pub fn start(test: &str, body: impl FnOnce(&mut dyn FnMut(&str))) -> Option<Self> {
        if env::var_os(ROLE).is_some() {
            // If it hangs, the test reads the end of its output, and fails.
            thread::spawn(|| {
                thread::sleep(4 * PATIENCE);
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

    /// What the body says, line by line.
    pub fn said(&mut self) -> impl Iterator<Item = String> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()))
    }

    /// All that the body says until it ends.
    ///
    /// # Panics
    ///
    /// It failed.
    pub fn ends(mut self) -> Vec<String> {
        let said = self.said().collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {said:#?}");
        said
    }

    /// The path of what the kernel tells of it (proc(5)).
    pub fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// Waits until it has so many descriptors at least.
    ///
    /// # Panics
    ///
    /// It doesn't, for all [`PATIENCE`].
    pub fn wait_for_descriptors(&self, count: usize) {
        let by = Instant::now() + PATIENCE;
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

    /// What it uses up meanwhile.
    ///
    /// # Panics
    ///
    /// It has ended.
    pub fn effort(&self, meanwhile: impl FnOnce()) -> Effort {
        let (switches, ticks) = (self.switches(), self.ticks());
        meanwhile();
        let new = |(thread, now): (&OsString, &u64)| {
            let before = switches.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        };
        Effort {
            switches: self.switches().iter().map(new).sum(),
            ticks: self.ticks() - ticks,
        }
    }

    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        // utime and stime are the 14th and 15th column; the second one ends with the only bracket
        // (proc(5)).
        let columns: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks = columns[11..13].iter();
        ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// How often each thread has slept or was made to.
    fn switches(&self) -> HashMap<OsString, u64> {
        let switches = |task: io::Result<DirEntry>| {
            let task = task.unwrap();
            // One that ends meanwhile has no status any more.
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
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process holds (proc(5)).
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// How many descriptors.
    pub descriptors: usize,
    /// How many threads; those not counted that the kernel lends to a ring, for a while
    /// (`iou-wrk-..`).
    pub threads: usize,
    /// How many bytes of memory are resident.
    pub memory: usize,
}

impl Held {
    /// What it holds now.
    ///
    /// # Panics
    ///
    /// There's no `/proc`.
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
        // One that ends meanwhile has no name any more.
        .filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok())
        .filter(|name| !name.starts_with("iou-"))
        .count()
}

/// How many descriptors this process may have from now on.
///
/// # Panics
///
/// That's more than it may allow itself.
pub fn allow_descriptors(count: u64) {
    allow(Resource::Nofile, count);
}

/// Has this process have as many descriptors as it may allow itself, and says how many.
pub(crate) fn allow_all_descriptors() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    if let Some(most) = most {
        allow_descriptors(most);
    }
    most.unwrap_or(u64::MAX)
}

/// How many bytes of memory this process may lock from now on.
///
/// # Panics
///
/// That's more than it may allow itself.
pub fn allow_locked_memory(bytes: u64) {
    allow(Resource::Memlock, bytes);
}

/// Makes that limit hold for this thread, and for those that it starts, although the user may be
/// root.
///
/// # Panics
///
/// The kernel forbids it, which it doesn't.
pub fn obey_locked_memory() {
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

fn allow(what: Resource, amount: u64) {
    let maximum = getrlimit(what).maximum;
    let limit = Rlimit {
        current: Some(amount),
        maximum,
    };
    let allowed = setrlimit(what, limit);
    allowed.unwrap_or_else(|e| {
        panic!("{what:?}: {amount} isn't allowed, {maximum:?} is the most: {e}")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_end_meanwhile_are_no_hindrance() {
        let test = "harness::process::tests::threads_that_end_meanwhile_are_no_hindrance";
        let Some(mut process) = Process::start(test, |say| {
            // Until the test closes it.
            let closed = thread::spawn(|| io::stdin().lines().for_each(drop));
            say("begun");
            while !closed.is_finished() {
                let some = [(); 8].map(|()| thread::spawn(thread::yield_now));
                some.into_iter().for_each(|thread| thread.join().unwrap());
            }
        }) else {
            return;
        };
        assert_eq!(process.said().next().unwrap(), "begun");
        for _ in 0..100 {
            process.effort(thread::yield_now);
        }
        drop(process.child.stdin.take());
        process.ends();
    }
}
