//! A server in a process of its own: the test's binary, run once more. What's measured of it, and the limits that it has, are its alone. And what this process holds, and is allowed.
use crate::scene::{PATIENCE, descriptors};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    env, fs,
    io::{BufRead, BufReader, Lines},
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

/// What a process has used up, over all of its threads.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often a thread slept or was made to.
    pub switches: u64,
    /// Its time on a core, in hundredths of a second.
    pub ticks: u64,
}

impl Process {
    /// Runs `body` in this test's own process, run once more; `test` is the test's name. There, it gives `None` at the end.
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

    /// What it has used up so far.
    ///
    /// # Panics
    ///
    /// It has ended.
    pub fn effort(&self) -> Effort {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        // utime and stime are the 14th and 15th column; the second one ends with the only bracket (proc(5)).
        let columns: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks = columns[11..13]
            .iter()
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        let switches = fs::read_dir(self.proc("task"))
            .unwrap()
            .map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap())
            .map(|status| {
                let counts = status
                    .lines()
                    .filter_map(|line| line.split_once("ctxt_switches:"));
                counts
                    .map(|(_, count)| count.trim().parse::<u64>().unwrap())
                    .sum::<u64>()
            })
            .sum();
        Effort { switches, ticks }
    }
}

impl Effort {
    /// What was used up between two looks.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            switches: self.switches - before.switches,
            ticks: self.ticks - before.ticks,
        }
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
    /// How many threads; those not counted that the kernel lends to a ring, for a while (`iou-wrk-..`).
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

/// How many bytes of memory this process may lock from now on.
///
/// # Panics
///
/// That's more than it may allow itself.
pub fn allow_locked_memory(bytes: u64) {
    allow(Resource::Memlock, bytes);
}

fn allow(what: Resource, amount: u64) {
    let maximum = getrlimit(what).maximum;
    let limit = Rlimit {
        current: Some(amount),
        maximum,
    };
    let allowed = setrlimit(what, limit);
    allowed.unwrap_or_else(|e| panic!("{what:?}: {amount} isn't allowed, {maximum:?} is the most: {e}"));
}
