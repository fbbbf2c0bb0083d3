//! What figures depend on beside the code: the machine and the tools. The lock files of the commit
//! have the versions of crates.

use super::context::descriptors;
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
    ("haproxy", "-v"),
    ("h2load", "--version"),
];

/// Reads all of it, and leaves out what is unknown.
pub(super) fn read(root: &Path) -> Environment {
    let mut all = Environment::new();
    let mut add = |name: &str, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty());
        all.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("time", Some(timestamp(OffsetDateTime::now_utc())));
    add("commit", commit(root));
    if let Ok(cpus) = procfs::CpuInfo::current() {
        add("cpu.model", cpus.model_name(0).map(str::to_owned));
        add("cpu.cores", Some(cpus.num_cores().to_string()));
        // Guests of a hypervisor have a flag.
        let flags = cpus.flags(0);
        let is_guest = flags.map(|flags| flags.contains(&"hypervisor"));
        let is_guest = is_guest.map(|guest| if guest { "yes" } else { "no" });
        add("cpu.virtual", is_guest.map(str::to_owned));
    }
    let memory = Meminfo::current().ok();
    add(
        "memory.total",
        memory.map(|memory| format!("{} MiB", memory.mem_total >> 20)),
    );
    let load = LoadAverage::current().ok();
    let load = load.map(|load| format!("{:.2} {:.2} {:.2}", load.one, load.five, load.fifteen));
    add("load.before", load);
    add("limit.nofile", Some(descriptors().to_string()));
    for (name, path) in FILES {
        let text = fs::read_to_string(path).ok();
        add(name, text.map(|text| text.trim().to_owned()));
    }
    // Flags change what is compiled.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        add(&format!("environment.{name}"), env::var(name).ok());
    }
    for (program, flag) in TOOLS {
        add(&format!("tool.{program}"), version(program, flag));
    }
    all
}

/// The machine in one line.
pub(super) fn machine(environment: &Environment) -> Option<String> {
    let known = |name: &str| environment.get(name);
    let is_virtual = known("cpu.virtual").is_some_and(|value| value == "yes");
    let kind = match is_virtual {
        true => " of a virtual machine",
        false => "",
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
    let git = |arguments: &str| {
        let mut git = Command::new("git");
        let output = git.args(arguments.split(' ')).current_dir(root).output();
        let output = output.ok()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(said)
    };
    let commit = git("rev-parse --short=12 HEAD")?;
    let changes = git("status --porcelain -- :/ :(top,exclude)benches/results")?;
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
        let environment = read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")));
        for name in [
            "time",
            "commit",
            "cpu.cores",
            "kernel.release",
            "tool.rustc",
        ] {
            let is_known = environment.contains_key(name);
            assert!(is_known, "{name} is not in: {environment:?}");
        }
        assert!(machine(&environment).unwrap().contains("cores"));
    }
}
