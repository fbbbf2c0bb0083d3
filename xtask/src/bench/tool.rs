//! The tools that count from outside: what they're told, and how their output is read.

use super::row::Unit;
use anyhow::Context as _;
pub(super) use anyport_bench_load::look_for;
use io_uring::IoUring;
use std::collections::HashMap;
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
    /// Whether it makes a program fifty times as slow.
    pub(super) is_slow: bool,
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
    is_slow: true,
    package: "valgrind",
    arguments: |file| {
        let file = file.display();
        vec![
            "--tool=callgrind".into(),
            // Says the instructions of the whole run, like the log, and can be looked into by
            // callgrind_annotate.
            format!("--callgrind-out-file={file}").into(),
            "--quiet".into(),
        ]
    },
    read: |text| {
        let instructions = number_after(text, "totals:").or_else(|| number_after(text, "summary:"));
        let instructions = instructions.context("callgrind's file has no line `totals:`")?;
        Ok(vec![
            (Unit::Instructions, instructions),
            (Unit::Allocations, allocations(text)),
        ])
    },
};

/// What programs call to allocate: mimalloc's functions, as Rust's crate calls them, and libc's.
const ALLOCATORS: [&str; 9] = [
    "mi_malloc_aligned",
    "mi_zalloc_aligned",
    "mi_realloc_aligned",
    "malloc",
    "calloc",
    "realloc",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
];

/// How often they were called. callgrind writes each name once, after its number in brackets, then
/// only the number (its manual, "Callgrind Format Specification"). Calls between them count once.
fn allocations(text: &str) -> u64 {
    let mut known: HashMap<&str, bool> = HashMap::new();
    let is_allocator = |field: &str, known: &HashMap<&str, bool>| {
        let (number, name) = field.split_once(' ').unwrap_or((field, ""));
        match name {
            "" => known.get(number).copied().unwrap_or(false),
            _ => ALLOCATORS.contains(&name.split(['@', '\'']).next().unwrap_or_default()),
        }
    };
    let (mut count, mut caller, mut callee) = (0, false, false);
    for line in text.lines() {
        let (kind, field) = match line.split_once('=') {
            Some((kind @ ("fn" | "cfn"), field)) => (kind, field),
            Some(("calls", field)) => {
                if callee && !caller {
                    count += number(field).unwrap_or_default();
                }
                continue;
            }
            _ => continue,
        };
        let found = is_allocator(field, &known);
        if let Some((number, _)) = field.split_once(' ') {
            known.insert(number, found);
        }
        match kind {
            "fn" => caller = found,
            _ => callee = found,
        }
    }
    count
}

pub(super) const PERF: Tool = Tool {
    name: "perf",
    program: "perf",
    is_slow: false,
    package: "linux-perf",
    arguments: |file| {
        let output = ["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o"].map(OsString::from);
        output
            .into_iter()
            .chain([file.into(), "--".into()])
            .collect()
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

impl Tool {
    /// The words that go before the server's own.
    pub(super) fn wrapper(&self, output: &Path) -> Vec<OsString> {
        let mut words = vec![OsString::from(self.program)];
        words.extend((self.arguments)(output));
        words
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
/// When it, or a filter above it, refuses them: how. Whatever else goes wrong is for the server to
/// tell.
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
    use super::{CALLGRIND, PERF, Unit};

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
cfn=(2) mi_malloc_aligned
calls=3 0
11 5
cfn=(3) something_else
calls=9 0
12 5

fn=(2)
1 1
cfn=(4) mi_realloc_aligned
calls=50 0
2 2

fn=(3)
cfn=(2)
calls=4 0

totals: 126557
";
        assert_eq!(
            (CALLGRIND.read)(text).unwrap(),
            [(Unit::Instructions, 126_557), (Unit::Allocations, 7)]
        );
        let without_totals = text.replace("totals: 126557\n", "");
        assert_eq!(
            (CALLGRIND.read)(&without_totals).unwrap(),
            [(Unit::Instructions, 101), (Unit::Allocations, 7)]
        );
        (CALLGRIND.read)("").unwrap_err();
    }

    #[test]
    fn perfs_file_says_the_system_calls() {
        let text =
            "# started on Tue Nov 24 13:03:12 2026\n\n29,,raw_syscalls:sys_enter,895712,100.00,,\n";
        assert_eq!((PERF.read)(text).unwrap(), [(Unit::Syscalls, 29)]);
        let refused = (PERF.read)("").unwrap_err().to_string();
        assert!(refused.contains("perf_event_paranoid"), "{refused}");
        let text = "<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n";
        let uncounted = (PERF.read)(text).unwrap_err().to_string();
        assert!(uncounted.contains("`<not counted>`"), "{uncounted}");
    }
}
