//! Runs of the bench: their files, their ends, and what goes wrong in them.

use crate::bench::{Bench, Outcome, XTASK};
use crate::{Test, missing, tests};
use rustix::process::{Signal, kill_process};
use std::env;
use std::fs::{self, OpenOptions};
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A short run of two targets.
const SHORT: &str = "--only | tcp | --workload | plaintext | --time | 2s | --output | FOLDER/run";

pub(crate) fn all() -> Vec<Test> {
    tests![missing("taskset --version");
        run_has_figures_and_files,
        run_ends_in_time_on_a_busy_machine,
        failure_costs_only_the_rows_of_its_target,
        proxy_has_an_upstream,
        ctrl_c_keeps_results_and_leaves_no_server,
        killed_bench_leaves_no_server,
        signal_during_a_build_leaves_no_compiler,
        output_that_cannot_be_written_is_an_error,
        folder_with_a_run_is_not_overwritten,
    ]
}

/// A run of three targets that share a reference, and have no fault.
pub(crate) fn finished() -> &'static Outcome {
    static RUN: LazyLock<Outcome> =
        LazyLock::new(|| Bench::start("", &SHORT.replace("tcp", "tcp,axum")).finish());
    &RUN
}

fn run_has_figures_and_files() {
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
        "first round: plaintext: tcp: ",
        "at most 0:02 min",
    ] {
        let stderr = &run.stderr;
        assert!(stderr.contains(expected), "{expected} is not in: {stderr}");
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

fn run_ends_in_time_on_a_busy_machine() {
    let _loops = [BusyLoop::start(), BusyLoop::start()];
    let start = Instant::now();
    let run = Bench::start("", SHORT).finish();
    // The machine may be slow to start and to end the run.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.figure("tcp", "ratio").unwrap();
    let row = run.row("tcp");
    assert!(row["disturbed"].as_u64().unwrap() > 0, "{row}");
}

fn failure_costs_only_the_rows_of_its_target() {
    let program = env::current_exe().unwrap();
    // The shell stays, and its child serves.
    let user = format!(
        "user=true && {} --listen {{listen}} && true",
        program.display()
    );
    let arguments = format!(
        "--server | {user} | --server | ends=exit 7 | --only \
        | tcp,tcp-per-core,monoio-epoll,actix,proxy | --workload | plaintext | --time | 4s \
        | --output | FOLDER/run"
    );
    let faults = "peer-actix does not build;tokio does not start;tokio-per-core aborts;\
        monoio-epoll sends another body";
    let run = Bench::start(faults, &arguments).finish();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    for (target, expected) in [
        ("actix", "`peer-actix` does not build"),
        ("tcp", "cannot start on purpose"),
        ("proxy", "its upstream: the server ended"),
        ("tcp-per-core", "the server ended (signal: 6"),
        (
            "monoio-epoll",
            "GET /: it answers `Hello, World` instead of `Hello, World!`",
        ),
        ("ends", "exit status: 7"),
    ] {
        let reason = run.figure(target, "cpu").unwrap_err();
        assert!(reason.contains(expected), "{target}: {reason}");
    }
    assert_eq!(run.figure("hyper", "ratio"), Ok(1.0));
    let ratio = run.figure("user", "ratio").unwrap();
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
}

fn proxy_has_an_upstream() {
    let run = Bench::start("", &SHORT.replace("tcp", "proxy")).finish();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.row("proxy")["reference"], "tcp");
    run.figure("proxy", "ratio").unwrap();
}

fn ctrl_c_keeps_results_and_leaves_no_server() {
    let bench = Bench::start("", &SHORT.replace("2s", "600s"));
    bench.wait_for_figures();
    kill_process(bench.pid(), Signal::INT).unwrap();
    let run = bench.finish();
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    run.figure("tcp", "cpu").unwrap();
    let has_both = run.stdout.contains("interrupted") && run.stdout.contains("| tcp ");
    assert!(has_both, "{}", run.stdout);
}

fn killed_bench_leaves_no_server() {
    let bench = Bench::start("", &SHORT.replace("2s", "600s"));
    bench.wait_for_server();
    kill_process(bench.pid(), Signal::KILL).unwrap();
    // It waits for all servers to end.
    assert_eq!(bench.finish().code, None);
}

fn signal_during_a_build_leaves_no_compiler() {
    let bench = Bench::start("peer-references builds forever", SHORT);
    bench.wait_for_compiler();
    kill_process(bench.pid(), Signal::TERM).unwrap();
    assert_eq!(bench.finish().code, Some(130));
}

fn output_that_cannot_be_written_is_an_error() {
    let disk = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Bench::start_as(Command::new(XTASK), disk.into(), "", "", SHORT).finish();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("cannot print"), "{}", run.stderr);
    // The results are written nevertheless.
    run.figure("tcp", "cpu").unwrap();
}

fn folder_with_a_run_is_not_overwritten() {
    let folder = finished().path("run");
    let again = SHORT.replace("FOLDER/run", folder.to_str().unwrap());
    let run = Bench::start("", &again).finish();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("holds a run already"), "{}", run.stderr);
}
