//! The tools that count: their arguments, and how their output is parsed.

use super::row::Unit;
use anyhow::Context as _;
use anyport_bench_load::require;
use io_uring::IoUring;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// A program that runs a server and counts.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    program: &'static str,
    /// The Debian package.
    package: &'static str,
    /// To count, and to write the result into this file.
    arguments: fn(&Path) -> Vec<OsString>,
    /// Parses that file.
    pub(super) parse: fn(&str) -> anyhow::Result<Vec<Count>>,
}

/// A unit, and how many.
pub(super) type Count = (Unit, u64);

pub(super) const CALLGRIND: Tool = Tool {
    name: "callgrind",
    program: "valgrind",
    package: "valgrind",
    arguments: |file| {
        let file = file.display();
        vec![
            "--tool=callgrind".into(),
            // For callgrind_annotate, too.
            format!("--callgrind-out-file={file}").into(),
            "--quiet".into(),
        ]
    },
    parse: |text| {
        let totals = text.lines().find_map(|line| line.strip_prefix("totals:"));
        let instructions = totals.and_then(number);
        let instructions = instructions.context("callgrind's file has no line `totals:`")?;
        Ok(vec![
            (Unit::Instructions, instructions),
            (Unit::Allocations, allocations(text)),
        ])
    },
};

/// The functions of allocators: those of mimalloc that its crate calls, and those of libc.
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

/// Calls of allocators. callgrind writes each name once, after its number in brackets, then
/// only the number (its manual, "Callgrind Format Specification"). Calls between them count once.
fn allocations(text: &str) -> u64 {
    let mut known: HashMap<&str, bool> = HashMap::new();
    let (mut count, mut caller, mut callee) = (0, false, false);
    for (kind, field) in text.lines().filter_map(|line| line.split_once('=')) {
        let mut is_allocator = || match field.split_once(' ') {
            Some((number, name)) => {
                let name = name.split(['@', '\'']).next().unwrap_or_default();
                let is_allocator = ALLOCATORS.contains(&name);
                known.insert(number, is_allocator);
                is_allocator
            }
            None => known.get(field).is_some_and(|known| *known),
        };
        match kind {
            "fn" => caller = is_allocator(),
            "cfn" => callee = is_allocator(),
            "calls" if callee && !caller => count += number(field).unwrap_or_default(),
            _ => {}
        }
    }
    count
}

pub(super) const PERF: Tool = Tool {
    name: "perf",
    program: "perf",
    package: "linux-perf",
    arguments: |file| {
        let words = ["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o"];
        let mut words = words.map(OsString::from).to_vec();
        words.extend([file.into(), "--".into()]);
        words
    },
    parse: |text| {
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
    /// The words before the server's command.
    pub(super) fn wrapper(&self, output: &Path) -> Vec<OsString> {
        let mut words = vec![OsString::from(self.program)];
        words.extend((self.arguments)(output));
        words
    }

    /// Checks that the tool can count here.
    pub(super) fn require(&self) -> anyhow::Result<()> {
        require(self.program, self.package)?;
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
        (self.parse)(&text).map(drop)
    }
}

/// Why the kernel, or a filter in it, refuses io_uring. Other errors are left to the server.
pub(super) fn io_uring_refusal() -> Option<&'static str> {
    static REFUSAL: LazyLock<Option<String>> = LazyLock::new(|| {
        let error = IoUring::new(2).err()?;
        let is_refusal = matches!(
            error.kind(),
            ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::InvalidInput
        );
        is_refusal.then(|| format!("io_uring is refused here ({error})"))
    });
    REFUSAL.as_deref()
}

/// The number at the start of the text. valgrind writes commas between thousands.
fn number(text: &str) -> Option<u64> {
    let word = text.split_whitespace().next()?;
    word.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{CALLGRIND, PERF, Unit};

    #[test]
    fn callgrind_file_has_instructions_and_allocations() {
        let text = "\
# callgrind format
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
        let counts = [(Unit::Instructions, 126_557), (Unit::Allocations, 7)];
        assert_eq!((CALLGRIND.parse)(text).unwrap(), counts);
        (CALLGRIND.parse)("").unwrap_err();
    }

    #[test]
    fn perf_file_has_system_calls() {
        let text =
            "# started on Tue Nov 24 13:03:12 2026\n\n29,,raw_syscalls:sys_enter,895712,100.00,,\n";
        assert_eq!((PERF.parse)(text).unwrap(), [(Unit::Syscalls, 29)]);
        let refused = (PERF.parse)("").unwrap_err().to_string();
        assert!(refused.contains("perf_event_paranoid"), "{refused}");
        let text = "<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n";
        let uncounted = (PERF.parse)(text).unwrap_err().to_string();
        assert!(uncounted.contains("`<not counted>`"), "{uncounted}");
    }
}
