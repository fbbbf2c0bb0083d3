//! What can go wrong, one by one.

use crate::bench::{Bench, Outcome};
use crate::{Test, lack};
use rustix::process::{Signal, kill_process};
use std::env;
use std::fs::OpenOptions;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A short run of two targets.
const SHORT: &str = "--only | tcp | --workload | plaintext | --time | 2s | --output | FOLDER/run";

pub(crate) fn all() -> Vec<Test> {
    let taskset = lack("taskset --version");
    [
        ("servers_are_measured_and_all_of_it_is_kept", kept as fn()),
        ("a_run_ends_in_time_on_a_busy_machine", busy),
        ("a_peer_that_does_not_build_costs_its_own_rows", unbuilt),
        ("a_server_that_does_not_start_says_why", silent),
        ("a_server_that_dies_says_how", dying),
        (
            "a_server_that_answers_something_else_is_told_what_was_expected",
            another,
        ),
        ("anybodys_server_is_measured_with_its_children", given),
        (
            "a_command_that_does_not_listen_is_told_where_it_should",
            deaf,
        ),
        (
            "ctrl_c_keeps_what_was_measured_and_leaves_no_server",
            interrupted,
        ),
        ("a_bench_that_is_killed_leaves_no_server", killed),
        ("a_signal_during_a_build_leaves_no_compiler", compiling),
        ("output_that_cannot_be_written_is_an_error", full),
        ("a_folder_that_holds_a_run_is_not_overwritten", taken),
    ]
    .map(|(name, test)| (name, test, taskset))
    .into()
}

fn run(wrong: &str, arguments: &str) -> Outcome {
    Bench::start(wrong, arguments).finish()
}

fn kept() {
    let outcome = run("", SHORT);
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    let ratio = outcome.figure("tcp", "ratio").unwrap();
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
    assert_eq!(outcome.figure("hyper", "ratio"), Ok(1.0));
    for (file, expected) in [
        ("summary.md", "| tcp "),
        ("report.html", "data-target=\"tcp\""),
        ("results.json", "\"cpu.cores\""),
    ] {
        let text = std::fs::read_to_string(outcome.path("run").join(file)).unwrap();
        assert!(text.contains(expected), "{file}: {text}");
    }
    assert!(outcome.text.contains("## plaintext"), "{}", outcome.text);
    for expected in [
        "of this machine",
        "first round of plaintext: ",
        "at most 0:02 min",
    ] {
        assert!(
            outcome.said.contains(expected),
            "{expected} is not in: {}",
            outcome.said
        );
    }
}

/// A program that takes a core.
struct Loop(Child);

impl Loop {
    fn start() -> Self {
        Self(
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn busy() {
    let _loops = [Loop::start(), Loop::start()];
    let begun = Instant::now();
    let outcome = run("", &SHORT.replace("2s", "4s"));
    // Twice the time, since the machine may be slow to start and to end it.
    assert!(
        begun.elapsed() < Duration::from_secs(14),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    outcome.figure("tcp", "ratio").unwrap();
    let row = outcome.row("tcp");
    assert!(row["disturbed"].as_u64().unwrap() > 0, "{row}");
}

fn unbuilt() {
    let outcome = run(
        "peer-axum does not build",
        &SHORT.replace("tcp", "tcp,axum"),
    );
    assert_eq!(outcome.code, Some(1));
    let reason = outcome.figure("axum", "cpu").unwrap_err();
    assert!(reason.contains("`peer-axum` does not build"), "{reason}");
    outcome.figure("tcp", "cpu").unwrap();
}

fn silent() {
    let outcome = run("says nothing", SHORT);
    assert_eq!(outcome.code, Some(1));
    let reason = outcome.figure("tcp", "cpu").unwrap_err();
    assert!(reason.contains("the stars aren't right"), "{reason}");
}

fn dying() {
    let outcome = run("dies", SHORT);
    let reason = outcome.figure("tcp", "cpu").unwrap_err();
    assert!(reason.contains("the server ended (signal: 6"), "{reason}");
}

fn another() {
    let outcome = run("answers something else", SHORT);
    let reason = outcome.figure("tcp", "cpu").unwrap_err();
    assert_eq!(
        reason,
        "GET /: it answers `Hello, World` instead of `Hello, World!`"
    );
}

fn given() {
    let program = env::current_exe().unwrap();
    // The shell stays, and its child serves.
    let server = format!(
        "mine=true && {} --listen {{listen}} && true",
        program.display()
    );
    let outcome = run(
        "",
        &format!(
            "--server | {server} | --only | tcp | --workload | plaintext | --time | 2s | --output | FOLDER/run"
        ),
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    let ratio = outcome.figure("mine", "ratio").unwrap();
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
}

fn deaf() {
    let outcome = run(
        "",
        "--server | mine=exit 7 | --only | tcp | --workload | plaintext | --time | 2s | --output | FOLDER/run",
    );
    assert_eq!(outcome.code, Some(1));
    let reason = outcome.figure("mine", "cpu").unwrap_err();
    assert!(reason.contains("exit status: 7"), "{reason}");
}

fn interrupted() {
    let bench = Bench::start("", &SHORT.replace("2s", "600s"));
    bench.until_measured();
    kill_process(bench.pid(), Signal::INT).unwrap();
    let outcome = bench.finish();
    assert_eq!(outcome.code, Some(130), "{}", outcome.said);
    outcome.figure("tcp", "cpu").unwrap();
    assert!(
        outcome.text.contains("interrupted") && outcome.text.contains("| tcp "),
        "{}",
        outcome.text
    );
}

fn killed() {
    let bench = Bench::start("", &SHORT.replace("2s", "600s"));
    bench.until_serving();
    kill_process(bench.pid(), Signal::KILL).unwrap();
    // It waits for all servers to end.
    assert_eq!(bench.finish().code, None);
}

fn compiling() {
    let bench = Bench::start("builds its references forever", SHORT);
    bench.until_compiling();
    kill_process(bench.pid(), Signal::TERM).unwrap();
    assert_eq!(bench.finish().code, Some(130));
}

fn full() {
    let disk = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let xtask = Command::new(crate::bench::XTASK);
    let outcome = Bench::start_as(xtask, disk.into(), "", "", SHORT).finish();
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.said.contains("cannot print"), "{}", outcome.said);
    // What was measured is kept nevertheless.
    outcome.figure("tcp", "cpu").unwrap();
}

fn taken() {
    let bench = Bench::start("", &SHORT.replace("FOLDER/run", "FOLDER"));
    let outcome = bench.finish();
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    let again = run(
        "",
        &SHORT.replace("FOLDER/run", outcome.path("").to_str().unwrap()),
    );
    assert_eq!(again.code, Some(1));
    assert!(again.said.contains("holds a run already"), "{}", again.said);
}
