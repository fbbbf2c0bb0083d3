//! What a figure depends on beside the code: the machine, its settings, the tools and the versions. Whoever compares two runs needs it.

use super::results::Environment;
use crate::workspace::locked_versions;
use procfs::{Current as _, LoadAverage, Meminfo, process::Process};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use time::OffsetDateTime;

/// What a kernel may be told that a server's figures depend on, under /proc/sys.
const SYSCTLS: &[&str] = &[
    "kernel/io_uring_disabled",
    "kernel/perf_event_paranoid",
    "kernel/sched_autogroup_enabled",
    "net/core/busy_poll",
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_wmem",
];

/// What's measured with, or measured, beside what cargo builds: the program, and what makes it tell its version.
const TOOLS: &[(&str, &str)] = &[
    ("rustc", "--version"),
    ("cargo", "--version"),
    ("perf", "--version"),
    ("valgrind", "--version"),
    ("nginx", "-v"),
    ("h2load", "--version"),
];

/// What a request goes through, of ours and of the peers.
const CRATES: &[(&str, &[&str])] = &[
    (
        "Cargo.lock",
        &[
            "glommio",
            "hyper",
            "mimalloc",
            "monoio",
            "rustls",
            "tokio",
            "tokio-rustls",
        ],
    ),
    ("benches/peers/Cargo.lock", &["actix-web", "axum", "ntex"]),
];

/// Looks at all of it; what can't be found out is left out.
pub(super) fn look(root: &Path) -> Environment {
    let mut environment = Environment::new();
    let mut set = |name: String, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            environment.insert(name, value);
        }
    };
    set("time".to_owned(), Some(timestamp(OffsetDateTime::now_utc())));
    set("commit".to_owned(), commit(root));
    let cpus = procfs::CpuInfo::current().ok();
    let model = cpus.as_ref().and_then(|cpus| cpus.model_name(0));
    set("cpu.model".to_owned(), model.map(str::to_owned));
    set(
        "cpu.cores".to_owned(),
        cpus.as_ref().map(|cpus| cpus.num_cores().to_string()),
    );
    // Only a guest of a hypervisor has this flag.
    let flags = cpus.as_ref().and_then(|cpus| cpus.flags(0));
    let is_guest = flags.map(|flags| flags.contains(&"hypervisor"));
    set(
        "cpu.virtual".to_owned(),
        is_guest.map(|guest| if guest { "yes" } else { "no" }.to_owned()),
    );
    let first = Path::new("/sys/devices/system/cpu");
    set(
        "cpu.governor".to_owned(),
        text(&first.join("cpu0/cpufreq/scaling_governor")),
    );
    set("cpu.smt".to_owned(), text(&first.join("smt/active")));
    for (name, value) in vulnerabilities(&first.join("vulnerabilities")) {
        set(format!("mitigation.{name}"), Some(value));
    }
    let memory = Meminfo::current().ok();
    set(
        "memory.total".to_owned(),
        memory.map(|memory| format!("{} MiB", memory.mem_total >> 20)),
    );
    set(
        "memory.huge_pages".to_owned(),
        text(Path::new("/sys/kernel/mm/transparent_hugepage/enabled")),
    );
    let load = LoadAverage::current().ok();
    set(
        "load.before".to_owned(),
        load.map(|load| format!("{:.2} {:.2} {:.2}", load.one, load.five, load.fifteen)),
    );
    let kernel = rustix::system::uname();
    set(
        "kernel.release".to_owned(),
        Some(kernel.release().to_string_lossy().into_owned()),
    );
    set(
        "kernel.version".to_owned(),
        Some(kernel.version().to_string_lossy().into_owned()),
    );
    for name in SYSCTLS {
        let value = text(&Path::new("/proc/sys").join(name));
        set(format!("sysctl.{}", name.replace('/', ".")), value);
    }
    for (name, value) in limits() {
        set(format!("limit.{name}"), Some(value));
    }
    // They change what's compiled, and no file says so.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        set(format!("environment.{name}"), std::env::var(name).ok());
    }
    for (program, flag) in TOOLS {
        set(format!("tool.{program}"), version(program, flag));
    }
    for (file, names) in CRATES {
        let lock = fs::read_to_string(root.join(file)).unwrap_or_default();
        for name in *names {
            // The newest is last.
            let version = locked_versions(&lock, name)
                .last()
                .map(|(version, _)| version.to_owned());
            set(format!("crate.{name}"), version);
        }
    }
    environment
}

/// The machine in one line; nothing if nothing's known.
pub(super) fn machine(environment: &Environment) -> Option<String> {
    let known = |name: &str| environment.get(name);
    let is_virtual = known("cpu.virtual").is_some_and(|value| value == "yes");
    let parts = [
        known("cpu.model").cloned(),
        known("cpu.cores").map(|cores| {
            format!(
                "{cores} cores{}",
                if is_virtual { " of a virtual machine" } else { "" }
            )
        }),
        known("memory.total").cloned(),
        known("kernel.release").map(|release| format!("Linux {release}")),
        known("tool.rustc").cloned(),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// By the clock of the world, to the second.
pub(super) fn timestamp(at: OffsetDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    format!(
        "{}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// What's checked out, and whether it was changed since. Runs that were kept change nothing, such as the one that's being made.
fn commit(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
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

/// The first line that a program says about itself.
fn version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    // nginx says it on stderr.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    said.lines().next().map(|line| line.trim().to_owned())
}

fn vulnerabilities(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = files
        .filter_map(|file| {
            Some((
                file.file_name().to_string_lossy().into_owned(),
                text(&file.path())?,
            ))
        })
        .filter(|(_, value)| value != "Not affected")
        .collect();
    found.sort();
    found
}

/// What this process, and so each server, may have.
fn limits() -> Vec<(&'static str, String)> {
    let Ok(limits) = Process::myself().and_then(|process| process.limits()) else {
        return Vec::new();
    };
    let say = |value| match value {
        procfs::process::LimitValue::Unlimited => "unlimited".to_owned(),
        procfs::process::LimitValue::Value(value) => value.to_string(),
    };
    vec![
        ("nofile", say(limits.max_open_files.soft_limit)),
        ("memlock", say(limits.max_locked_memory.soft_limit)),
    ]
}

fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::{look, timestamp};
    use std::path::Path;
    use time::OffsetDateTime;

    #[test]
    fn a_run_knows_its_machine_and_its_versions() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let environment = look(root);
        for name in [
            "time",
            "cpu.cores",
            "kernel.release",
            "limit.nofile",
            "tool.rustc",
            "crate.hyper",
            "crate.axum",
        ] {
            assert!(environment.contains_key(name), "no {name} in {environment:?}");
        }
    }

    #[test]
    fn a_time_is_written_as_rfc_3339_does() {
        let at = OffsetDateTime::from_unix_timestamp(1_795_547_407).unwrap();
        assert_eq!(timestamp(at), "2026-11-24T19:10:07Z");
    }
}
