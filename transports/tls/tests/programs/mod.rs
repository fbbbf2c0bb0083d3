//! Programs that a machine may not have, and what they say.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::PATIENCE;
pub(crate) use anyport_testkit::requirements::Tests;
use std::{
    ffi::OsStr,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The names and functions of tests that need a program, for [`Tests::unless`].
#[macro_export]
macro_rules! tests {
    ($tests:expr, $program:literal: $($name:ident),* $(,)?) => {
        $tests$(.unless(anyport_testkit::requirements::needs_program($program), stringify!($name), $name))*
    };
}

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) succeeded: bool,
    pub(crate) out: Vec<u8>,
    /// Both of its outputs.
    pub(crate) text: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn has(&self, wanted: &str) -> &Self {
        assert!(
            self.text.contains(wanted),
            "no {wanted:?} in:\n{}",
            self.text
        );
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, unwanted: &str) -> &Self {
        assert!(
            !self.text.contains(unwanted),
            "{unwanted:?} in:\n{}",
            self.text
        );
        self
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) -> &Self {
        assert!(self.succeeded, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn failed(&self) -> &Self {
        assert!(!self.succeeded, "{}", self.text);
        self
    }
}

/// Runs a program to its end, with this to read.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: impl AsRef<[u8]>,
) -> Said {
    within(PATIENCE, program, arguments, input)
}

pub(crate) fn within<A: AsRef<OsStr>>(
    patience: Duration,
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: impl AsRef<[u8]>,
) -> Said {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let collect = |mut from: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut said = Vec::new();
            from.read_to_end(&mut said).map(|_| said)
        })
    };
    let out = collect(Box::new(running.0.stdout.take().unwrap()));
    let err = collect(Box::new(running.0.stderr.take().unwrap()));
    // One that doesn't read to the end has its reasons.
    let _ = running.0.stdin.take().unwrap().write_all(input.as_ref());
    let by = Instant::now() + patience;
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > by {
            drop(running);
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let (out, err) = (out.join().unwrap().unwrap(), err.join().unwrap().unwrap());
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&out),
        String::from_utf8_lossy(&err)
    );
    assert!(
        status.is_some(),
        "{program} isn't done after {patience:?}:\n{text}"
    );
    Said {
        succeeded: status.is_some_and(|status| status.success()),
        out,
        text,
    }
}

/// A process that's killed if it isn't at its end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
