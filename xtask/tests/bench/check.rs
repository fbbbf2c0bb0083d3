//! `--check` finds seeded regressions, and fails when it cannot count.

use crate::bench::{Bench, Outcome, XTASK};
use crate::stand_in::{HEALTHY, WITHOUT_IO_URING};
use crate::{Test, missing, tests};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

pub(crate) fn all() -> Vec<Test> {
    let tools = missing("valgrind --version")
        .or_else(|| missing("perf stat -e raw_syscalls:sys_enter true"));
    let mut tests = tests![tools;
        server_without_a_fault_passes,
        small_reads_of_uploads_are_found,
        one_more_allocation_per_request_is_found,
        one_more_system_call_per_request_is_found,
        eight_kibibytes_per_idle_connection_are_found,
        check_without_io_uring_fails,
    ];
    tests.extend(tests![None; missing_tools_are_named_with_their_packages]);
    tests
}

fn check(xtask: Command, fault: &str, arguments: &str) -> Outcome {
    let arguments = format!("--check | {arguments}");
    Bench::start_as(xtask, Stdio::piped(), "", fault, &arguments).finish()
}

/// The figures of the server without a fault, measured once.
fn baseline() -> &'static Path {
    static BASELINE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("baseline.json");
        let arguments = arguments(&path, "instructions,syscalls,syscalls-upload,idle");
        let arguments = format!("{arguments} | --update");
        let update = check(Command::new(XTASK), HEALTHY, &arguments);
        assert_eq!(update.code, Some(0), "{}", update.stderr);
        (folder, path)
    });
    &BASELINE.1
}

fn arguments(baseline: &Path, workloads: &str) -> String {
    let baseline = baseline.display();
    format!("--only | tcp | --workload | {workloads} | --baseline | {baseline}")
}

fn server_without_a_fault_passes() {
    let arguments = arguments(baseline(), "syscalls,syscalls-upload");
    let same = check(Command::new(XTASK), HEALTHY, &arguments);
    assert_eq!(same.code, Some(0), "{}", same.stdout);
}

/// This figure is worse, and no other of the workload.
fn finds(fault: &str, workload: &str, figure: &str) {
    let found = check(Command::new(XTASK), fault, &arguments(baseline(), workload));
    assert_eq!(found.code, Some(1), "{}", found.stdout);
    let name = format!("tcp {workload} {figure} ");
    let worse: Vec<&str> = (found.stdout.lines())
        .filter(|line| line.ends_with("WORSE"))
        .collect();
    let is_named = worse.len() == 1 && worse[0].starts_with(&name);
    assert!(is_named, "{}", found.stdout);
}

fn small_reads_of_uploads_are_found() {
    finds("small-reads", "syscalls-upload", "syscalls");
}

fn one_more_allocation_per_request_is_found() {
    finds("allocation", "instructions", "allocations");
}

fn one_more_system_call_per_request_is_found() {
    finds("syscall", "syscalls", "syscalls");
}

fn eight_kibibytes_per_idle_connection_are_found() {
    finds("idle-memory", "idle", "kept");
}

fn missing_tools_are_named_with_their_packages() {
    let nothing = tempfile::tempdir().unwrap();
    let mut xtask = Command::new(XTASK);
    xtask.env("PATH", nothing.path());
    let outcome = check(xtask, HEALTHY, "--only | tcp");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    for package in ["valgrind", "linux-perf"] {
        let advice = format!("apt install {package}");
        assert!(outcome.stderr.contains(&advice), "{}", outcome.stderr);
    }
}

fn check_without_io_uring_fails() {
    let mut xtask = Command::new(env::current_exe().unwrap());
    xtask.args([WITHOUT_IO_URING, XTASK]);
    let outcome = check(xtask, HEALTHY, "--only | monoio,glommio");
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    for target in ["monoio", "glommio"] {
        let expected =
            format!("NOT COMPARED: {target}: io_uring is refused here (Operation not permitted");
        assert!(outcome.stdout.contains(&expected), "{}", outcome.stdout);
    }
    let nothing = outcome.stdout.contains("nothing could be compared");
    assert!(nothing, "{}", outcome.stdout);
}
