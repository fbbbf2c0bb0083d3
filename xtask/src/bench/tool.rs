//! The tools that count from outside: what they're told, and how their output is read.

use super::report::Unit;
use super::target::Target;
use anyhow::Context as _;
pub(super) use anyport_bench_load::look_for;
use io_uring::IoUring;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program that runs a server and counts something while it does.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    program: &'static str,
    /// What Debian calls it.
    package: &'static str,
    /// Says to count, and to write into a file of this name.
    arguments: fn(&Path) -> Vec<OsString>,
    /// Reads that file.
    pub(super) read: fn(&str) -> anyhow::Result<Vec<Count>>,
}

/// How many of what.
pub(super) type Count = (Unit, u64);

pub(super) const CALLGRIND: Tool = Tool {
    name: "callgrind",
    program: "valgrind",
    package: "valgrind",
    arguments: |file| {
        let file = file.display();
        vec![
            "--tool=callgrind".into(),
            // Says the instructions of the whole run, like the log, and can be looked into by callgrind_annotate.
            format!("--callgrind-out-file={file}").into(),
            "--quiet".into(),
        ]
    },
    read: |text| {
        let instructions = number_after(text, "totals:").or_else(|| number_after(text, "summary:"));
        let instructions = instructions.context("callgrind's file has no line `totals:`")?;
        Ok(vec![(Unit::Instructions, instructions)])
    },
};

pub(super) const PERF: Tool = Tool {
    name: "perf",
    program: "perf",
    package: "linux-perf",
    arguments: |file| {
        let output = ["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o"].map(OsString::from);
        output.into_iter().chain([file.into(), "--".into()]).collect()
    },
    read: |text| {
        let line = text
            .lines()
            .find(|line| line.contains("raw_syscalls:sys_enter"))
            .context("perf counted no system calls; it needs root, or kernel.perf_event_paranoid -1 and a readable tracefs")?;
        let value = line.split(',').next().unwrap_or_default();
        let calls = value
            .parse()
            .with_context(|| format!("perf says `{value}` instead of a number of system calls"))?;
        Ok(vec![(Unit::Syscalls, calls)])
    },
};

pub(super) const MEMCHECK: Tool = Tool {
    name: "memcheck",
    program: "valgrind",
    package: "valgrind",
    arguments: |file| {
        vec![
            "--tool=memcheck".into(),
            // Only the allocations are of interest, not what's wrong with them.
            "--leak-check=no".into(),
            "--undef-value-errors=no".into(),
            format!("--log-file={}", file.display()).into(),
        ]
    },
    read: |text| {
        let missing = "memcheck's log has no line `total heap usage`";
        let (_, usage) = text.rsplit_once("total heap usage:").context(missing)?;
        let mut parts = usage.lines().next().unwrap_or_default().split_terminator(", ");
        let allocations = parts.next().and_then(number).context(missing)?;
        let bytes = parts.nth(1).and_then(number).context(missing)?;
        Ok(vec![(Unit::Allocations, allocations), (Unit::Bytes, bytes)])
    },
};

impl Tool {
    /// The words that go before the server's own.
    pub(super) fn wrapper(&self, output: &Path) -> Vec<OsString> {
        let mut words = vec![OsString::from(self.program)];
        words.extend((self.arguments)(output));
        words
    }

    /// # Errors
    ///
    /// When it can't count what this target does: why.
    pub(super) fn check(&self, target: Target) -> anyhow::Result<()> {
        match self.program {
            "valgrind" => target.check_valgrind(),
            _ => Ok(()),
        }
    }

    /// Lets it count something that's over at once.
    ///
    /// # Errors
    ///
    /// When it isn't installed: which package has it. When it can't count here: why.
    pub(super) fn look_for(&self) -> anyhow::Result<()> {
        look_for(self.program, self.package)?;
        let output = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
        let ended = Command::new(self.program)
            .args((self.arguments)(output.path()))
            .arg("true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        ended.with_context(|| format!("`{}` cannot be run", self.program))?;
        let text = fs::read_to_string(output.path()).unwrap_or_default();
        (self.read)(&text).map(drop)
    }
}

/// Whether this kernel lets a process have rings.
///
/// # Errors
///
/// When it, or a filter above it, refuses them: how. Whatever else goes wrong is for the server to tell.
pub(super) fn look_for_io_uring() -> anyhow::Result<()> {
    match IoUring::new(2) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::InvalidInput
            ) =>
        {
            anyhow::bail!("io_uring is refused here ({error})")
        }
        _ => Ok(()),
    }
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    number(line)
}

/// The number that starts the text; valgrind puts commas between thousands.
fn number(text: &str) -> Option<u64> {
    let word = text.split_whitespace().next()?;
    word.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{CALLGRIND, MEMCHECK, PERF, Unit};

    #[test]
    fn callgrinds_file_says_the_instructions() {
        let text = "\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 12
cmd:  target/measure/peer-hyper --listen 127.0.0.1:0
part: 1

desc: I1 cache:
events: Ir
summary: 101

fn=(1) main
10 100

totals: 126557
";
        assert_eq!((CALLGRIND.read)(text).unwrap(), [(Unit::Instructions, 126_557)]);
        let without_totals = text.replace("totals: 126557\n", "");
        assert_eq!(
            (CALLGRIND.read)(&without_totals).unwrap(),
            [(Unit::Instructions, 101)]
        );
        (CALLGRIND.read)("").unwrap_err();
    }

    #[test]
    fn perfs_file_says_the_system_calls() {
        let text = "# started on Tue Nov 24 13:03:12 2026\n\n29,,raw_syscalls:sys_enter,895712,100.00,,\n";
        assert_eq!((PERF.read)(text).unwrap(), [(Unit::Syscalls, 29)]);
        let refused = (PERF.read)("").unwrap_err().to_string();
        assert!(refused.contains("perf_event_paranoid"), "{refused}");
        let text = "<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n";
        let uncounted = (PERF.read)(text).unwrap_err().to_string();
        assert!(uncounted.contains("`<not counted>`"), "{uncounted}");
    }

    #[test]
    fn memchecks_log_says_allocations_and_bytes() {
        let text = "\
==12== Memcheck, a memory error detector
==12== Command: target/measure/peer-hyper-system --listen 127.0.0.1:0
==12==
==12== HEAP SUMMARY:
==12==     in use at exit: 8,192 bytes in 3 blocks
==12==   total heap usage: 12,345 allocs, 12,342 frees, 1,234,567 bytes allocated
==12==
==12== For a detailed leak analysis, rerun with: --leak-check=full
";
        let expected = [(Unit::Allocations, 12_345), (Unit::Bytes, 1_234_567)];
        assert_eq!((MEMCHECK.read)(text).unwrap(), expected);
        (MEMCHECK.read)("").unwrap_err();
    }
}
