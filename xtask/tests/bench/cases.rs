//! What can go wrong, one by one.

use crate::bench::{Bench, Outcome};
use libtest_mimic::Trial;
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

pub(crate) fn all() -> Vec<Trial> {
    let cases: [(&str, fn()); 20] = [
        ("healthy_servers_are_measured", healthy_servers_are_measured),
        (
            "a_peer_that_does_not_build_costs_its_own_rows",
            a_peer_that_does_not_build_costs_its_own_rows,
        ),
        (
            "a_server_that_does_not_start_says_why",
            a_server_that_does_not_start_says_why,
        ),
        ("a_server_that_dies_says_how", a_server_that_dies_says_how),
        (
            "a_server_that_answers_something_else_is_not_measured",
            a_server_that_answers_something_else_is_not_measured,
        ),
        (
            "an_answer_over_http2_is_looked_at_byte_by_byte",
            an_answer_over_http2_is_looked_at_byte_by_byte,
        ),
        (
            "a_backend_that_the_kernel_refuses_says_so_and_the_rest_go_on",
            a_backend_that_the_kernel_refuses_says_so_and_the_rest_go_on,
        ),
        ("a_port_that_is_taken_is_told", a_port_that_is_taken_is_told),
        (
            "a_leftover_server_on_the_same_port_is_told",
            a_leftover_server_on_the_same_port_is_told,
        ),
        (
            "ctrl_c_prints_what_there_is_and_leaves_no_server",
            ctrl_c_prints_what_there_is_and_leaves_no_server,
        ),
        (
            "a_bench_that_is_killed_leaves_no_server",
            a_bench_that_is_killed_leaves_no_server,
        ),
        ("a_matrix_lies_in_its_folder", a_matrix_lies_in_its_folder),
        (
            "what_is_reported_follows_from_the_windows",
            what_is_reported_follows_from_the_windows,
        ),
        (
            "ctrl_c_keeps_what_a_matrix_has_measured",
            ctrl_c_keeps_what_a_matrix_has_measured,
        ),
        (
            "a_signal_while_it_builds_leaves_no_compiler_and_keeps_what_was_measured",
            a_signal_while_it_builds_leaves_no_compiler_and_keeps_what_was_measured,
        ),
        (
            "output_that_cannot_be_written_is_an_error_and_what_was_measured_is_kept",
            output_that_cannot_be_written_is_an_error_and_what_was_measured_is_kept,
        ),
        (
            "who_reads_no_more_ends_it_quietly",
            who_reads_no_more_ends_it_quietly,
        ),
        ("a_full_disk_ends_a_matrix", a_full_disk_ends_a_matrix),
        (
            "an_unknown_name_lists_the_valid_ones",
            an_unknown_name_lists_the_valid_ones,
        ),
        (
            "who_serves_some_connections_only_has_no_value",
            who_serves_some_connections_only_has_no_value,
        ),
    ];
    let there = Command::new("taskset").arg("--version").output().is_ok();
    let trial = |(name, case): (&str, fn())| {
        Trial::test(name, move || {
            case();
            Ok(())
        })
        // It pins the servers.
        .with_ignored_flag(!there)
    };
    cases.into_iter().map(trial).collect()
}

/// One round, to the end.
fn run(wrong: &str, arguments: &[&str]) -> Outcome {
    Bench::start(wrong, &[&["--rounds", "1"], arguments].concat()).finish()
}

fn failure(outcome: &Outcome, target: &str) -> String {
    assert_eq!(outcome.code, Some(1));
    outcome.value(target, "us/request").unwrap_err()
}

fn healthy_servers_are_measured() {
    let outcome = run("", &["--only", "axum"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.value("axum", "us/request").unwrap() > 0.0);
    assert!(outcome.value("axum", "ratio").unwrap() > 0.0);
    assert_eq!(outcome.value("hyper", "ratio").unwrap(), 1.0);
}

fn a_peer_that_does_not_build_costs_its_own_rows() {
    let outcome = run("peer-axum does not build", &["--only", "axum"]);
    let failure = failure(&outcome, "axum");
    assert!(failure.contains("`peer-axum` does not build"), "{failure}");
    outcome.value("hyper", "us/request").unwrap();
}

fn a_server_that_does_not_start_says_why() {
    let failure = failure(&run("says nothing", &["--only", "hyper"]), "hyper");
    assert!(failure.contains("exit status: 3"), "{failure}");
    assert!(failure.contains("the stars aren't right"), "{failure}");
}

fn a_server_that_dies_says_how() {
    let failure = failure(&run("dies", &["--only", "hyper"]), "hyper");
    assert!(failure.contains("the server ended (signal: 6"), "{failure}");
}

fn a_server_that_answers_something_else_is_not_measured() {
    let failure = failure(&run("answers something else", &["--only", "hyper"]), "hyper");
    assert!(
        failure.contains("`Hello, World` instead of `Hello, World!`"),
        "{failure}"
    );
}

fn an_answer_over_http2_is_looked_at_byte_by_byte() {
    let only = [
        "--figure",
        "throughput",
        "--rounds",
        "1",
        "--workload",
        "plaintext-h2",
    ];
    let folder = tempfile::tempdir().unwrap();
    let reason = |wrong| {
        let outcome = matrix(wrong, folder.path(), &only).finish();
        let rows = outcome.rows.iter();
        let mut over_http2 = rows.filter(|row| row["workload"] == "plaintext-h2");
        over_http2.next().unwrap()["reason"].to_string()
    };
    let reason_of_another_answer = reason("answers something else over HTTP/2");
    assert!(
        reason_of_another_answer.contains("`Hello, world!` instead of `Hello, World!`"),
        "{reason_of_another_answer}"
    );
    let reason_of_the_expected_answer = reason("");
    assert!(
        ["null", "`h2load` isn't installed"]
            .iter()
            .any(|reason| reason_of_the_expected_answer.contains(reason)),
        "{reason_of_the_expected_answer}"
    );
}

fn a_backend_that_the_kernel_refuses_says_so_and_the_rest_go_on() {
    let outcome = run("is refused io_uring", &["--only", "monoio,tcp"]);
    let failure = failure(&outcome, "monoio");
    assert!(
        failure.contains("the server ended") && failure.contains("io_uring is refused"),
        "{failure}"
    );
    for target in ["hyper-monoio", "tcp", "hyper"] {
        assert!(outcome.value(target, "us/request").unwrap() > 0.0, "{target}");
    }
}

fn a_port_that_is_taken_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let failure = failure(&run("", &["--only", "hyper", "--listen", &address]), "hyper");
    assert!(failure.contains(&format!("cannot bind {address}")), "{failure}");
}

fn a_leftover_server_on_the_same_port_is_told() {
    let leftover = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    leftover.set_reuse_port(true).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    leftover.bind(&any.into()).unwrap();
    leftover.listen(1).unwrap();
    let address = leftover.local_addr().unwrap().as_socket().unwrap().to_string();
    let failure = failure(
        &run("shares its port", &["--only", "hyper", "--listen", &address]),
        "hyper",
    );
    assert!(
        failure.contains(&format!("another server listens on {address}")),
        "{failure}"
    );
}

fn ctrl_c_prints_what_there_is_and_leaves_no_server() {
    let bench = Bench::start("", &["--only", "hyper", "--rounds", "1000"]);
    bench.until_serving();
    kill_process(bench.pid(), Signal::INT).unwrap();
    let outcome = bench.finish();
    assert_eq!(outcome.code, Some(130));
    assert_eq!(outcome.rows.len(), 2);
}

fn a_bench_that_is_killed_leaves_no_server() {
    let bench = Bench::start("", &["--only", "hyper", "--rounds", "1000"]);
    bench.until_serving();
    kill_process(bench.pid(), Signal::KILL).unwrap();
    assert_eq!(bench.finish().code, None);
}

/// What keeps a matrix small.
const SMALL: [&str; 12] = [
    "--backend",
    "tcp",
    "--peers",
    "none",
    "--workload",
    "plaintext",
    "--connections",
    "2",
    "--duration",
    "100ms",
    "--keep-disturbed",
    "--json",
];

fn matrix(wrong: &str, output: &Path, arguments: &[&str]) -> Bench {
    let output = ["--output", output.to_str().unwrap()];
    Bench::start_with(wrong, &[&SMALL[..], &output, arguments].concat())
}

fn file(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn a_matrix_lies_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = matrix(
        "",
        folder.path(),
        &[
            "--figure",
            "throughput,latency,churn",
            "--rounds",
            "1",
            "--rate",
            "100",
        ],
    );
    let outcome = outcome.finish();
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    for unit in [
        "requests/s",
        "rate ratio",
        "us/request",
        "p99 us",
        "us/connection",
    ] {
        assert!(outcome.value("tcp", unit).unwrap() > 0.0, "{unit}");
        outcome.value("hyper", unit).unwrap();
    }
    let results = file(folder.path(), "results.json");
    let figures: Vec<_> = results["sections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|section| &section["figure"])
        .collect();
    assert_eq!(figures, ["throughput", "latency", "churn"]);
    assert!(file(folder.path(), "env.json")["kernel.release"].is_string());
    let windows = windows(folder.path()).into_iter();
    assert_eq!(windows.filter(|window| window["is_kept"] == true).count(), 3 * 2);
    let latencies =
        fs::read_to_string(folder.path().join("histograms/latency-plaintext-2-tcp.hgrm")).unwrap();
    assert!(latencies.contains("Total count"), "{latencies}");
}

fn windows(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("rounds.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Each median and interval, once more, by whoever has nothing but the windows.
fn what_is_reported_follows_from_the_windows() {
    /// Which value a ratio is of.
    fn base(unit: &str) -> &str {
        match unit {
            "rate ratio" => "requests/s",
            "ratio" => "us/request",
            "p99 ratio" => "p99 us",
            unit => unit,
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let figures = ["--figure", "throughput,latency", "--rate", "100", "--rounds", "6"];
    let outcome = matrix(folder.path(), &figures).finish();
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    let windows = windows(folder.path());
    let mut told = 0;
    for record in &outcome.rows {
        let unit = record["unit"].as_str().unwrap();
        let of = |target: &Value, round: &Value| {
            let is_it = |window: &&Value| {
                window["is_kept"] == true
                    && (&window["target"], &window["round"]) == (target, round)
                    && ["figure", "workload", "connections"]
                        .iter()
                        .all(|key| window[key] == record[key])
            };
            windows.iter().find(is_it)?["values"][base(unit)].as_f64()
        };
        let mut values: Vec<f64> = (1..=12)
            .filter_map(|round| {
                let value = of(&record["target"], &round.into())?;
                if base(unit) == unit {
                    return Some(value);
                }
                Some(value / of(&record["reference"], &round.into())?)
            })
            .collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values.len(), 6, "{record}");
        // Of six, the sign test leaves out none.
        let expected = match unit {
            "max us" => [Some(values[5]), None, None],
            _ => [
                Some(f64::midpoint(values[2], values[3])),
                Some(values[0]),
                Some(values[5]),
            ],
        };
        for (key, expected) in ["value", "low", "high"].into_iter().zip(expected) {
            let reported = record[key].as_f64();
            // The last digit is lost where numbers are read again.
            let is_same = match (reported, expected) {
                (Some(reported), Some(expected)) => (reported - expected).abs() <= 1e-12 * expected,
                (reported, expected) => reported == expected,
            };
            assert!(is_same, "{key}: {record}");
        }
        told += 1;
    }
    // Of two targets: two values with their ratios, and five of which one has a ratio.
    assert_eq!(told, 2 * (4 + 6));
}

fn ctrl_c_keeps_what_a_matrix_has_measured() {
    let folder = tempfile::tempdir().unwrap();
    let bench = matrix("", folder.path(), &["--figure", "throughput", "--rounds", "1000"]);
    bench.until_serving();
    kill_process(bench.pid(), Signal::INT).unwrap();
    let outcome = bench.finish();
    assert_eq!(outcome.code, Some(130), "{}", outcome.said);
    assert_eq!(
        file(folder.path(), "results.json")["sections"][0]["interrupted"],
        true
    );
}

/// Signals that reach the bench alone, as those of `kill` and `timeout` do.
fn a_signal_while_it_builds_leaves_no_compiler_and_keeps_what_was_measured() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let output = ["--output", folder.path().to_str().unwrap()];
        let figures = ["--figure", "throughput,churn", "--rounds", "1"];
        let bench = Bench::start_with(
            "builds its second part forever",
            &[&SMALL[..], &output, &figures].concat(),
        );
        bench.until_compiling();
        kill_process(bench.pid(), signal).unwrap();
        let outcome = bench.finish();
        assert_eq!(outcome.code, Some(130), "{signal:?}: {}", outcome.said);
        let throughput = &file(folder.path(), "results.json")["sections"][0];
        assert_eq!(throughput["figure"], "throughput");
        assert!(throughput["records"][0]["value"].is_number(), "{throughput}");
    }
}

fn output_that_cannot_be_written_is_an_error_and_what_was_measured_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let output = ["--output", folder.path().to_str().unwrap()];
    let arguments = [&SMALL[..], &output, &["--figure", "churn", "--rounds", "1"]].concat();
    // Where every byte is too much.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = Bench::start_to(full.into(), "", &arguments).finish();
    assert_eq!(outcome.code, Some(1), "{}", outcome.said);
    let errors: Vec<&str> = outcome
        .said
        .lines()
        .filter(|line| line.contains("error"))
        .collect();
    assert_eq!(
        errors,
        ["error: cannot print: No space left on device (os error 28)"]
    );
    assert_eq!(
        file(folder.path(), "results.json")["sections"][0]["figure"],
        "churn"
    );
}

fn who_reads_no_more_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let arguments = ["cpu", "--keep-disturbed", "--only", "hyper", "--rounds", "1"];
    let outcome = Bench::start_to(writer.into(), "", &arguments).finish();
    assert_eq!((outcome.code, outcome.said.as_str()), (Some(141), ""));
}

fn a_full_disk_ends_a_matrix() {
    let folder = tempfile::tempdir().unwrap();
    // Where every byte is too much.
    symlink("/dev/full", folder.path().join("rounds.jsonl")).unwrap();
    let outcome = matrix("", folder.path(), &["--figure", "throughput", "--rounds", "1000"]).finish();
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.said.contains("rounds.jsonl: No space left on device"),
        "{}",
        outcome.said
    );
}

fn an_unknown_name_lists_the_valid_ones() {
    for (flag, valid) in [
        ("--backend", "tcp-per-core"),
        ("--peers", "axum"),
        ("--workload", "echo-4k"),
        ("--figure", "throughput"),
    ] {
        let outcome = Bench::start_with("", &[flag, "foo"]).finish();
        assert_eq!(outcome.code, Some(2));
        let said = &outcome.said;
        assert!(
            said.contains("'foo'") && said.contains(flag) && said.contains(valid),
            "{said}"
        );
    }
}

fn who_serves_some_connections_only_has_no_value() {
    let failure = failure(
        &run("serves three connections only", &["--only", "hyper"]),
        "hyper",
    );
    assert!(failure.contains("15 of 16 connections wait"), "{failure}");
}
