//! A server in a process of its own: this test's binary, run once more. What's measured of it, and the limits that it has, are its alone.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::PATIENCE;
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
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What a process has used up, over all of its threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often a thread slept or was made to.
    pub(crate) switches: u64,
    /// Its time on a core, in hundredths of a second.
    pub(crate) ticks: u64,
}

impl Process {
    /// Runs `body` in this test's own process, run once more. There, it gives `None` at the end.
    pub(crate) fn start(test: &str, body: impl FnOnce(&mut dyn FnMut(&str))) -> Option<Self> {
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
    pub(crate) fn said(&mut self) -> impl Iterator<Item = String> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()))
    }

    pub(crate) fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    pub(crate) fn wait_for_descriptors(&self, count: usize) {
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

    pub(crate) fn effort(&self) -> Effort {
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
    pub(crate) fn since(self, before: Self) -> Self {
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
