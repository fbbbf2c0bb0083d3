//! Runs programs that a machine may lack, and checks their output.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::TIMEOUT;
pub(crate) use anyport_testkit::requirements::Tests;
use std::{
    ffi::OsStr,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Adds tests that need a program, by [`Tests::unless`].
#[macro_export]
macro_rules! tests {
    ($tests:expr, $program:literal: $($name:ident),* $(,)?) => {
        $tests$(.unless(anyport_testkit::requirements::needs_program($program), stringify!($name), $name))*
    };
}

/// The output of a program.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) succeeded: bool,
    pub(crate) out: Vec<u8>,
    /// Both of its outputs.
    pub(crate) text: String,
}

impl Output {
    #[track_caller]
    pub(crate) fn contains(&self, expected: &str) -> &Self {
        assert!(
            self.text.contains(expected),
            "no {expected:?} in:\n{}",
            self.text
        );
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, unexpected: &str) -> &Self {
        assert!(
            !self.text.contains(unexpected),
            "{unexpected:?} in:\n{}",
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

/// Runs a program to its end, with `input` as its stdin.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: impl AsRef<[u8]>,
) -> Output {
    run_within(TIMEOUT, program, arguments, input)
}

pub(crate) fn run_within<A: AsRef<OsStr>>(
    timeout: Duration,
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: impl AsRef<[u8]>,
) -> Output {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = KillOnDrop(child);
    let collect = |mut from: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut output = Vec::new();
            from.read_to_end(&mut output).map(|_| output)
        })
    };
    let out = collect(Box::new(running.0.stdout.take().unwrap()));
    let err = collect(Box::new(running.0.stderr.take().unwrap()));
    // A program may end without reading all its input.
    let _ = running.0.stdin.take().unwrap().write_all(input.as_ref());
    let by = Instant::now() + timeout;
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
        "{program} has not ended after {timeout:?}:\n{text}"
    );
    Output {
        succeeded: status.is_some_and(|status| status.success()),
        out,
        text,
    }
}

/// A process that is killed if it has not ended.
pub(crate) struct KillOnDrop(pub(crate) Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
