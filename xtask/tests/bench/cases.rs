//! Runs of the bench: their files, their ends, and what goes wrong in them.

use crate::bench::{Bench, Outcome, XTASK};
use crate::{Test, missing};
use rustix::process::{Signal, kill_process};
use std::env;
use std::fs::{self, OpenOptions};
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A short run of two targets.
const SHORT: &str = "--only | tcp | --workload | plaintext | --time | 2s | --output | FOLDER/run";

pub(crate) fn all() -> Vec<Test> {
    let taskset = missing("taskset --version");
    [
        ("run_has_figures_and_files", finished_run as fn()),
        ("run_ends_in_time_on_a_busy_machine", busy_machine),
        ("peer_that_does_not_build_costs_only_its_rows", build_error),
        (
            "server_that_does_not_start_has_its_error_as_reason",
            start_error,
        ),
        ("server_that_ends_has_its_signal_as_reason", aborted_server),
        (
            "server_with_another_response_has_both_as_reason",
            other_response,
        ),
        (
            "server_of_the_user_is_measured_with_its_children",
            user_server,
        ),
        (
            "command_that_ends_has_its_exit_code_as_reason",
            user_command_error,
        ),
        ("ctrl_c_keeps_results_and_leaves_no_server", interrupted_run),
        ("killed_bench_leaves_no_server", killed_bench),
        (
            "signal_during_a_build_leaves_no_compiler",
            interrupted_build,
        ),
        ("output_that_cannot_be_written_is_an_error", full_disk),
        ("folder_with_a_run_is_not_overwritten", existing_folder),
    ]
    .map(|(name, test)| (name, test, taskset))
    .into()
}

/// A run of three targets that share a reference, and have no fault.
pub(crate) fn finished() -> &'static Outcome {
    static RUN: LazyLock<Outcome> =
        LazyLock::new(|| Bench::start("", &SHORT.replace("tcp", "tcp,axum")).finish());
    &RUN
}

/// A run of targets with a fault each, beside servers without one.
fn faulty() -> &'static Outcome {
    static RUN: LazyLock<Outcome> = LazyLock::new(|| {
        let program = env::current_exe().unwrap();
        // The shell stays, and its child serves.
        let user = format!(
            "user=true && {} --listen {{listen}} && true",
            program.display()
        );
        let arguments = format!(
            "--server | {user} | --server | ends=exit 7 \
            | --only | tcp,tcp-per-core,monoio-epoll,axum \
            | --workload | plaintext | --time | 4s | --output | FOLDER/run"
        );
        let faults = "peer-axum does not build;tcp does not start;tcp-per-core aborts;\
            monoio-epoll sends another body";
        Bench::start(faults, &arguments).finish()
    });
    &RUN
}

fn reason(target: &str) -> String {
    assert_eq!(faulty().code, Some(1), "{}", faulty().stderr);
    // The others are measured nevertheless.
    assert_eq!(faulty().figure("hyper", "ratio"), Ok(1.0));
    faulty().figure(target, "cpu").unwrap_err()
}

fn finished_run() {
    let run = finished();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let ratio = run.figure("tcp", "ratio").unwrap();
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
    assert_eq!(run.figure("hyper", "ratio"), Ok(1.0));
    for (file, expected) in [
        ("summary.md", "| tcp "),
        ("report.html", "data-target=\"tcp\""),
        ("results.json", "\"cpu.cores\""),
    ] {
        let text = fs::read_to_string(run.path("run").join(file)).unwrap();
        assert!(text.contains(expected), "{file}: {text}");
    }
    assert!(run.stdout.contains("## plaintext"), "{}", run.stdout);
    for expected in [
        "of this machine",
        "first round of plaintext: ",
        "at most 0:02 min",
    ] {
        assert!(
            run.stderr.contains(expected),
            "{expected} is not in: {}",
            run.stderr
        );
    }
}

/// A program that keeps a core busy.
struct BusyLoop(Child);

impl BusyLoop {
    fn start() -> Self {
        let mut shell = Command::new("sh");
        Self(shell.args(["-c", "while :; do :; done"]).spawn().unwrap())
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn busy_machine() {
    let _loops = [BusyLoop::start(), BusyLoop::start()];
    let start = Instant::now();
    let run = Bench::start("", SHORT).finish();
    // The machine may be slow to start and to end the run.
    assert!(
        start.elapsed() < Duration::from_secs(12),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.figure("tcp", "ratio").unwrap();
    let row = run.row("tcp");
    assert!(row["disturbed"].as_u64().unwrap() > 0, "{row}");
}

fn build_error() {
    let reason = reason("axum");
    assert!(reason.contains("`peer-axum` does not build"), "{reason}");
}

fn start_error() {
    let reason = reason("tcp");
    assert!(reason.contains("cannot start on purpose"), "{reason}");
}

fn aborted_server() {
    let reason = reason("tcp-per-core");
    assert!(reason.contains("the server ended (signal: 6"), "{reason}");
}

fn other_response() {
    assert_eq!(
        reason("monoio-epoll"),
        "GET /: it answers `Hello, World` instead of `Hello, World!`"
    );
}

fn user_server() {
    let ratio = faulty().figure("user", "ratio").unwrap();
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
}

fn user_command_error() {
    let reason = reason("ends");
    assert!(reason.contains("exit status: 7"), "{reason}");
}

fn interrupted_run() {
    let bench = Bench::start("", &SHORT.replace("2s", "600s"));
    bench.wait_for_figures();
    kill_process(bench.pid(), Signal::INT).unwrap();
    let run = bench.finish();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    run.figure("tcp", "cpu").unwrap();
    let has_both = run.stdout.contains("interrupted") && run.stdout.contains("| tcp ");
    assert!(has_both, "{}", run.stdout);
}

fn killed_bench() {
    let bench = Bench::start("", &SHORT.replace("2s", "600s"));
    bench.wait_for_server();
    kill_process(bench.pid(), Signal::KILL).unwrap();
    // It waits for all servers to end.
    assert_eq!(bench.finish().code, None);
}

fn interrupted_build() {
    let bench = Bench::start("peer-by-hand builds forever", SHORT);
    bench.wait_for_compiler();
    kill_process(bench.pid(), Signal::TERM).unwrap();
    assert_eq!(bench.finish().code, Some(130));
}

fn full_disk() {
    let disk = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Bench::start_as(Command::new(XTASK), disk.into(), "", "", SHORT).finish();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("cannot print"), "{}", run.stderr);
    // The results are written nevertheless.
    run.figure("tcp", "cpu").unwrap();
}

fn existing_folder() {
    let folder = finished().path("run");
    let again = SHORT.replace("FOLDER/run", folder.to_str().unwrap());
    let run = Bench::start("", &again).finish();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("holds a run already"), "{}", run.stderr);
}
