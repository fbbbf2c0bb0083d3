//! What can go wrong, one by one.

mod matrix;

use crate::bench::{Bench, Outcome};
use libtest_mimic::Trial;
use rustix::process::{Signal, kill_process};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener};
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
            matrix::an_answer_over_http2_is_looked_at_byte_by_byte,
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
        ("a_matrix_lies_in_its_folder", matrix::a_matrix_lies_in_its_folder),
        (
            "what_is_reported_follows_from_the_windows",
            matrix::what_is_reported_follows_from_the_windows,
        ),
        (
            "ctrl_c_keeps_what_a_matrix_has_measured",
            matrix::ctrl_c_keeps_what_a_matrix_has_measured,
        ),
        (
            "a_signal_while_it_builds_leaves_no_compiler_and_keeps_what_was_measured",
            matrix::a_signal_while_it_builds_leaves_no_compiler_and_keeps_what_was_measured,
        ),
        (
            "output_that_cannot_be_written_is_an_error_and_what_was_measured_is_kept",
            matrix::output_that_cannot_be_written_is_an_error_and_what_was_measured_is_kept,
        ),
        (
            "who_reads_no_more_ends_it_quietly",
            matrix::who_reads_no_more_ends_it_quietly,
        ),
        ("a_full_disk_ends_a_matrix", matrix::a_full_disk_ends_a_matrix),
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
    assert!(failure.contains("14 of 16 connections wait"), "{failure}");
}
