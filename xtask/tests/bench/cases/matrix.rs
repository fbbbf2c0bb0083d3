//! What a matrix leaves in its folder, whatever ends it.

use crate::bench::Bench;
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

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

pub(super) fn a_matrix_lies_in_its_folder() {
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
pub(super) fn what_is_reported_follows_from_the_windows() {
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
    let outcome = matrix("", folder.path(), &figures).finish();
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

pub(super) fn ctrl_c_keeps_what_a_matrix_has_measured() {
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
pub(super) fn a_signal_while_it_builds_leaves_no_compiler_and_keeps_what_was_measured() {
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

pub(super) fn output_that_cannot_be_written_is_an_error_and_what_was_measured_is_kept() {
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

pub(super) fn who_reads_no_more_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let arguments = ["cpu", "--keep-disturbed", "--only", "hyper", "--rounds", "1"];
    let outcome = Bench::start_to(writer.into(), "", &arguments).finish();
    assert_eq!((outcome.code, outcome.said.as_str()), (Some(141), ""));
}

pub(super) fn a_full_disk_ends_a_matrix() {
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

pub(super) fn an_answer_over_http2_is_looked_at_byte_by_byte() {
    let only = [
        "--figure",
        "throughput",
        "--rounds",
        "1",
        "--workload",
        "plaintext-h2",
    ];
    let reason = |wrong| {
        let folder = tempfile::tempdir().unwrap();
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
