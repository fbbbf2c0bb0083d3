//! The binary: what it prints, and how it ends.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::Address;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use server::{RESPONSE, each, healthy, nobody, request};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

fn command(words: &[&str], address: &Address) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anyport-bench-load"));
    command.args(words).arg(address.to_string()).stdin(Stdio::null());
    command
}

fn run(words: &[&str], address: &Address) -> Output {
    command(words, address).output().unwrap()
}

fn json(words: &[&str], address: &Address) -> Value {
    let output = run(words, address);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The one line that it says.
fn error(words: &[&str], address: &Address) -> String {
    let output = run(words, address);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("error: "), "{error}");
    error
}

#[test]
fn a_reader_gets_lines() {
    let output = run(
        &["closed", "--connections=3", "--requests=300", "--latency"],
        &healthy(),
    );
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no line {name} in:\n{text}"))
            .trim()
            .to_owned()
    };
    assert_eq!(line("requests "), "300");
    assert_eq!(line("connections "), "3");
    assert!(line("latency ").starts_with("p50 "), "{text}");
    assert!(line("requests per second ").parse::<u64>().unwrap() > 0, "{text}");
}

#[test]
fn a_program_gets_an_object_of_each_kind() {
    let address = healthy();
    let closed = json(&["closed", "--json", "--requests=100", "--pipeline=4"], &address);
    assert_eq!(
        (&closed["load"], &closed["requests"]),
        (&"closed".into(), &100.into())
    );
    assert!(
        closed["notes"][0].as_str().unwrap().contains("synthetic"),
        "{closed}"
    );
    let open = json(&["open", "--json", "--rate=1000", "--duration=100ms"], &address);
    assert_eq!((&open["requests"], &open["unsent"]), (&100.into(), &0.into()));
    let (median, max) = (&open["latency_us"]["p50"], &open["latency_us"]["max"]);
    assert!(
        0.0 < median.as_f64().unwrap() && median.as_f64() <= max.as_f64(),
        "{open}"
    );
    let idle = json(&["idle", "--json", "--kept-alive", "--duration=10ms"], &address);
    assert!(idle["idle_us"].as_f64().unwrap() >= 10_000.0, "{idle}");
    let slow = json(&["slow", "--json", "--pause=1ms", "--duration=20ms"], &address);
    assert!(slow["bytes"].as_u64().unwrap() > 0, "{slow}");
    let closing = each(|_, mut stream| {
        request(&mut stream);
        stream.write_all(RESPONSE).unwrap();
    });
    let churn = json(&["churn", "--json", "--requests=100"], &closing);
    assert_eq!(churn["connections_made"], 100);
}

#[test]
fn whatever_is_wrong_is_one_line() {
    let (_reserved, nobody) = nobody();
    for kind in ["closed", "churn", "idle", "slow"] {
        let error = error(&[kind], &nobody);
        assert!(error.contains("refused"), "{error}");
    }
    let websocket = error(&["closed", "--workload=websocket"], &healthy());
    assert!(websocket.contains("doesn't upgrade"), "{websocket}");
    let silent = each(|_, mut stream| while request(&mut stream).is_some() {});
    let silent = error(&["open", "--rate=100", "--patience=100ms"], &silent);
    assert!(silent.contains("answered nothing for 100ms"), "{silent}");
}

#[test]
fn ctrl_c_ends_a_run_and_prints_what_there_was() {
    let (sender, asked) = mpsc::channel();
    let address = each(move |_, mut stream| {
        while request(&mut stream).is_some() {
            let _ = sender.send(());
            if stream.write_all(RESPONSE).is_err() {
                return;
            }
        }
    });
    for words in [
        &["closed", "--json", "--duration=10min"][..],
        &["open", "--json", "--rate=1000", "--duration=10min"],
    ] {
        let child = command(words, &address).stdout(Stdio::piped()).spawn().unwrap();
        asked.recv().unwrap();
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(object["requests"].as_u64().unwrap() > 0, "{object}");
        // What the last one sent after its signal.
        while asked.try_recv().is_ok() {}
    }
}
