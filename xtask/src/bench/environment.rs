//! What figures depend on beside the code: the machine, the tools and the versions.

use crate::workspace::locked_versions;
use procfs::{Current as _, LoadAverage, Meminfo};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
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

/// The crates that a request goes through, ours and the peers'.
const CRATES: [(&str, &str); 2] = [
    (
        "Cargo.lock",
        "axum glommio hyper mimalloc monoio rustls tokio tokio-rustls",
    ),
    (
        "benches/peers/Cargo.lock",
        "actix-web fastwebsockets ntex trillium",
    ),
];

/// Reads all of it, and leaves out what is unknown.
pub(super) fn read(root: &Path) -> Environment {
    let mut environment = Environment::new();
    let mut set = |name: String, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            environment.insert(name, value);
        }
    };
    set(
        "time".to_owned(),
        Some(timestamp(OffsetDateTime::now_utc())),
    );
    set("commit".to_owned(), commit(root));
    if let Ok(cpus) = procfs::CpuInfo::current() {
        set(
            "cpu.model".to_owned(),
            cpus.model_name(0).map(str::to_owned),
        );
        set("cpu.cores".to_owned(), Some(cpus.num_cores().to_string()));
        // Only a guest of a hypervisor has this flag.
        let is_guest = cpus.flags(0).map(|flags| flags.contains(&"hypervisor"));
        set(
            "cpu.virtual".to_owned(),
            is_guest.map(|guest| if guest { "yes" } else { "no" }.to_owned()),
        );
    }
    let memory = Meminfo::current().ok();
    set(
        "memory.total".to_owned(),
        memory.map(|memory| format!("{} MiB", memory.mem_total >> 20)),
    );
    let load = LoadAverage::current().ok();
    set(
        "load.before".to_owned(),
        load.map(|load| format!("{:.2} {:.2} {:.2}", load.one, load.five, load.fifteen)),
    );
    for (name, path) in FILES {
        let text = fs::read_to_string(path).ok();
        set(
            name.to_owned(),
            text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
        );
    }
    set(
        "limit.nofile".to_owned(),
        Some(super::context::descriptors().to_string()),
    );
    // They change what is compiled.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        set(format!("environment.{name}"), std::env::var(name).ok());
    }
    for (program, flag) in TOOLS {
        set(format!("tool.{program}"), version(program, flag));
    }
    for (file, names) in CRATES {
        let lock = fs::read_to_string(root.join(file)).unwrap_or_default();
        for name in names.split(' ') {
            // The newest one is last.
            let version = locked_versions(&lock, name).last();
            set(
                format!("crate.{name}"),
                version.map(|(version, _)| version.to_owned()),
            );
        }
    }
    environment
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
    use super::{machine, read, timestamp};
    use time::OffsetDateTime;

    #[test]
    fn machine_and_versions_are_known() {
        let environment = read(std::path::Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/.."
        )));
        for name in [
            "time",
            "cpu.cores",
            "kernel.release",
            "tool.rustc",
            "crate.hyper",
            "crate.actix-web",
        ] {
            assert!(
                environment.contains_key(name),
                "{name} is not in: {environment:?}"
            );
        }
        assert!(machine(&environment).unwrap().contains("cores"));
    }

    #[test]
    fn timestamps_are_utc() {
        assert_eq!(
            timestamp(OffsetDateTime::UNIX_EPOCH),
            "1970-01-01T00:00:00Z"
        );
    }
}
