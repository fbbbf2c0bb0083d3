//! What figures depend on beside the code: the machine and the tools. The lock files of the commit
//! have the versions of crates.

use procfs::{Current as _, LoadAverage, Meminfo};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};
use time::OffsetDateTime;

/// Names and values.
pub(super) type Environment = BTreeMap<String, String>;

/// Settings of the machine that change figures.
const FILES: [(&str, &str); 4] = [
    (
        "cpu.governor",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    ),
    ("cpu.smt", "/sys/devices/system/cpu/smt/active"),
    (
        "memory.huge_pages",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ),
    ("kernel.release", "/proc/sys/kernel/osrelease"),
];

/// Programs that measure or are measured, and their flag for the version.
const TOOLS: [(&str, &str); 6] = [
    ("rustc", "--version"),
    ("perf", "--version"),
    ("valgrind", "--version"),
    ("nginx", "-v"),
    ("h2load", "--version"),
    ("curl", "--version"),
];

/// Reads all of it, and leaves out what is unknown.
pub(super) fn read(root: &Path) -> Environment {
    let cpus = procfs::CpuInfo::current().ok();
    let cpus = cpus.as_ref();
    // Guests of a hypervisor have a flag.
    let is_guest = cpus.and_then(|cpus| Some(cpus.flags(0)?.contains(&"hypervisor")));
    let memory = Meminfo::current().ok();
    let load = LoadAverage::current().ok();
    let load = load.map(|load| format!("{:.2} {:.2} {:.2}", load.one, load.five, load.fifteen));
    let known = [
        ("time", Some(timestamp(OffsetDateTime::now_utc()))),
        ("commit", commit(root)),
        (
            "cpu.model",
            cpus.and_then(|cpus| Some(cpus.model_name(0)?.to_owned())),
        ),
        ("cpu.cores", cpus.map(|cpus| cpus.num_cores().to_string())),
        (
            "cpu.virtual",
            is_guest.map(|guest| if guest { "yes" } else { "no" }.to_owned()),
        ),
        (
            "memory.total",
            memory.map(|memory| format!("{} MiB", memory.mem_total >> 20)),
        ),
        ("load.before", load),
        (
            "limit.nofile",
            Some(super::context::descriptors().to_string()),
        ),
    ];
    let files = FILES.map(|(name, path)| {
        let text = fs::read_to_string(path).ok();
        (
            name,
            text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
        )
    });
    let known = known.into_iter().chain(files);
    let known = known.map(|(name, value)| (name.to_owned(), value));
    // Flags change what is compiled.
    let flags = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]
        .map(|name| (format!("environment.{name}"), env::var(name).ok()));
    let tools = TOOLS.map(|(program, flag)| (format!("tool.{program}"), version(program, flag)));
    let all = known.chain(flags).chain(tools);
    let all = all.filter_map(|(name, value)| Some((name, value?)));
    all.filter(|(_, value)| !value.is_empty()).collect()
}

/// The machine in one line.
pub(super) fn machine(environment: &Environment) -> Option<String> {
    let known = |name: &str| environment.get(name);
    let is_virtual = known("cpu.virtual").is_some_and(|value| value == "yes");
    let kind = if is_virtual {
        " of a virtual machine"
    } else {
        ""
    };
    let parts = [
        known("cpu.model").cloned(),
        known("cpu.cores").map(|cores| format!("{cores} cores{kind}")),
        known("memory.total").cloned(),
        known("kernel.release").map(|release| format!("Linux {release}")),
        known("tool.rustc").cloned(),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// In UTC, to the second.
pub(super) fn timestamp(at: OffsetDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The commit, and whether files other than results have changed since.
fn commit(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root)
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(said)
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&[
        "status",
        "--porcelain",
        "--",
        ":/",
        ":(top,exclude)benches/results",
    ])?;
    Some(if changes.is_empty() {
        commit
    } else {
        format!("{commit} with changes")
    })
}

/// The first line of a program's version.
fn version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    // nginx prints it on stderr.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    said.lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{machine, read};

    #[test]
    fn machine_and_tools_are_known() {
        let environment = read(std::path::Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/.."
        )));
        for name in [
            "time",
            "commit",
            "cpu.cores",
            "kernel.release",
            "tool.rustc",
        ] {
            assert!(
                environment.contains_key(name),
                "{name} is not in: {environment:?}"
            );
        }
        assert!(machine(&environment).unwrap().contains("cores"));
    }
}
