//! Two runs side by side, to the letter.

use crate::trials;
use crate::xtask::bench;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub(crate) fn all() -> Vec<Trial> {
    trials![
        two_runs_stand_side_by_side,
        only_what_changed_is_shown_if_that_is_wanted,
        a_run_agrees_with_itself,
        a_missing_environment_is_told,
        what_is_no_run_is_told,
        another_format_is_told,
        results_that_are_torn_are_told,
    ]
}

/// What there is of a target.
type Entry<'a> = (&'a str, &'a str, &'a str, Value);

fn run(name: &str, kernel: &str, entries: &[Entry<'_>]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let records = entries.iter().map(|(figure, target, unit, value)| {
        let mut record = json!({
            "figure": figure, "target": target, "is_peer": target.starts_with("hyper"), "reference": "hyper", "transport": "tcp",
            "workload": "plaintext", "allocator": "mimalloc", "connections": 64, "unit": unit, "value": null,
        });
        record.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        record
    });
    let records: Vec<Value> = records.collect();
    let mut figures: Vec<&str> = entries.iter().map(|entry| entry.0).collect();
    figures.dedup();
    let sections = figures.into_iter().map(|figure| {
        let records: Vec<&Value> = records
            .iter()
            .filter(|record| record["figure"] == figure)
            .collect();
        json!({"figure": figure, "about": "", "notes": [], "interrupted": false, "records": records})
    });
    let sections: Vec<Value> = sections.collect();
    let results = json!({"format": 2, "run": name, "command": "cargo xtask bench", "sections": sections});
    fs::write(folder.path().join("results.json"), results.to_string()).unwrap();
    let environment = json!({"kernel.release": kernel, "cpu.cores": "2"});
    fs::write(folder.path().join("env.json"), environment.to_string()).unwrap();
    folder
}

fn in_rounds(low: f64, value: f64, high: f64) -> Value {
    json!({"value": value, "low": low, "high": high})
}

fn two() -> (TempDir, TempDir) {
    let ratio = ("throughput", "rate ratio");
    let a = run(
        "first",
        "6.18.0",
        &[
            (ratio.0, "tcp", ratio.1, in_rounds(0.98, 0.99, 1.0)),
            (ratio.0, "tls-tcp-aws-lc-rs", ratio.1, in_rounds(0.9, 0.91, 0.92)),
            (ratio.0, "monoio", ratio.1, in_rounds(1.0, 1.02, 1.04)),
            (
                ratio.0,
                "glommio",
                ratio.1,
                json!({"value": 1.5, "low": 1.4, "high": 1.6, "mark": "client-bound"}),
            ),
            (ratio.0, "hyper", ratio.1, in_rounds(1.0, 1.0, 1.0)),
            (ratio.0, "ntex", ratio.1, in_rounds(0.9, 1.0, 1.1)),
            ("syscalls", "tcp", "syscalls/request", json!({"value": 2.0})),
            ("syscalls", "monoio", "syscalls/request", json!({"value": 0.08})),
            (
                "syscalls",
                "hyper",
                "syscalls/request",
                json!({"reason": "`perf` isn't installed; install linux-perf"}),
            ),
            ("churn", "tcp", "ratio", in_rounds(0.9, 1.0, 1.1)),
        ],
    );
    let b = run(
        "second",
        "6.19.0",
        &[
            (ratio.0, "hyper", ratio.1, in_rounds(1.0, 1.0, 1.0)),
            (ratio.0, "tcp", ratio.1, in_rounds(0.985, 0.995, 1.005)),
            (ratio.0, "tls-tcp-aws-lc-rs", ratio.1, in_rounds(0.93, 0.94, 0.95)),
            (ratio.0, "monoio", ratio.1, in_rounds(1.03, 1.05, 1.07)),
            (ratio.0, "glommio", ratio.1, in_rounds(1.4, 1.5, 1.6)),
            (
                "syscalls",
                "tcp",
                "syscalls/request",
                json!({"value": 2.4, "span": {"lowest": 2.3, "highest": 2.4}}),
            ),
            ("syscalls", "monoio", "syscalls/request", json!({"value": 0.09})),
            ("syscalls", "hyper", "syscalls/request", json!({"value": 2.0})),
            ("syscalls", "unix", "syscalls/request", json!({"value": 2.0})),
        ],
    );
    (a, b)
}

fn compared<'a>(a: &'a Path, b: &'a Path, flags: &[&'a str]) -> String {
    let flags = flags.iter().map(AsRef::as_ref);
    let said = bench(
        ["compare".as_ref(), a.as_os_str(), b.as_os_str()]
            .into_iter()
            .chain(flags),
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in said.out.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    said.out
}

fn two_runs_stand_side_by_side() {
    let (a, b) = two();
    let expected = "\
A: first (cargo xtask bench)
B: second (cargo xtask bench)

| environment    | A      | B      |
|----------------|--------|--------|
| kernel.release | 6.18.0 | 6.19.0 |

## throughput: rate x reference, plaintext, mimalloc

| target            | conns |                   A |                   B | change |              |
|-------------------|-------|---------------------|---------------------|--------|--------------|
| tcp               |    64 | 0.990 (0.980–1.000) | 0.995 (0.985–1.005) | +0.5 % |              |
| tls-tcp-aws-lc-rs |    64 | 0.910 (0.900–0.920) | 0.940 (0.930–0.950) | +3.3 % | better       |
| monoio            |    64 | 1.020 (1.000–1.040) | 1.050 (1.030–1.070) | +2.9 % |              |
| glommio           |    64 | 1.500 (1.400–1.600) | 1.500 (1.400–1.600) | +0.0 % | client-bound |
| hyper             |    64 | 1.000 (1.000–1.000) | 1.000 (1.000–1.000) | +0.0 % |              |

## syscalls: syscalls/request, plaintext, mimalloc

| target | conns |            A |                B |  change |       |
|--------|-------|--------------|------------------|---------|-------|
| tcp    |    64 |         2.00 | 2.40 (2.30–2.40) | +20.0 % | worse |
| monoio |    64 |         0.08 |             0.09 | +12.5 % |       |
| hyper  |    64 | not measured |             2.00 |         |       |

2 of 8 rows that both runs have differ by more than noise.

2 of 3 ratios (66.7 %) agree: their 95 % intervals overlap. 1 (33.3 %) agree strictly: each median
lies in the other's interval. The goal for two runs of one commit on one machine, 90 % that agree,
isn't reached. 1 ratio is left out, of rates that weren't the server's.

better, worse: from A to B by more than noise, so that the 95 % intervals have nothing in common, or
that what's counted differs by more than its tolerance (instructions 2 %, bytes 3 %, syscalls 0.2
and 5 %, allocations 0.05, memory 2 % and at least 0.3 KiB, of uploads instructions at least 5,000,
syscalls 1 and 20 %) and the spans of its runs have nothing in common. Without a word it's noise;
with ? nobody knows, since there's no interval.

Only in A: churn; throughput of ntex (1 row).

Only in B: syscalls of unix (1 row).

Not measured in A: syscalls of hyper: `perf` isn't installed; install linux-perf
";
    // A run is called by its folder, wherever it was moved to.
    let name = |run: &TempDir| run.path().file_name().unwrap().to_string_lossy().into_owned();
    let expected = expected
        .replace("A: first", &format!("A: {}", name(&a)))
        .replace("B: second", &format!("B: {}", name(&b)));
    let text = compared(a.path(), &b.path().join("results.json"), &[]);
    assert_eq!(text, expected);
}

fn only_what_changed_is_shown_if_that_is_wanted() {
    let (a, b) = two();
    let text = compared(a.path(), b.path(), &["--changed"]);
    assert!(
        text.contains("## throughput: rate x reference, plaintext, mimalloc (1 of 5 rows)\n"),
        "{text}"
    );
    assert!(
        text.contains("| tls-tcp-aws-lc-rs |    64 |") && !text.contains("| monoio"),
        "{text}"
    );
}

fn a_run_agrees_with_itself() {
    let (a, _) = two();
    let text = compared(a.path(), a.path(), &[]);
    assert!(text.contains("\nTheir environments are alike.\n"), "{text}");
    assert!(
        text.contains("\n0 of 10 rows that both runs have differ by more than noise.\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "\n5 of 5 ratios (100.0 %) agree: their 95 % intervals overlap. 5 (100.0 %) agree strictly"
        ),
        "{text}"
    );
    assert!(!text.contains("Only in"), "{text}");
}

fn a_missing_environment_is_told() {
    let (a, b) = two();
    fs::remove_file(b.path().join("env.json")).unwrap();
    let text = compared(a.path(), b.path(), &[]);
    assert!(
        text.contains("B has no env.json, so nobody knows whether their environments are alike.\n"),
        "{text}"
    );
}

#[track_caller]
fn fails(a: &Path, b: &Path, why: &str) {
    let said = bench(["compare".as_ref(), a.as_os_str(), b.as_os_str()]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.error.contains(why), "{said:?}");
}

fn what_is_no_run_is_told() {
    let (a, _) = two();
    let empty = tempfile::tempdir().unwrap();
    let why = "results.json; give the folder of a run, such as target/bench/NAME";
    fails(a.path(), empty.path(), why);
    fails(&empty.path().join("nothing"), a.path(), why);
}

fn another_format_is_told() {
    let (a, b) = two();
    let path = b.path().join("results.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(r#""format":2"#, r#""format":3"#)).unwrap();
    fails(
        a.path(),
        b.path(),
        "has format 3, and this bench reads formats 1 to 2; measure again",
    );
}

fn results_that_are_torn_are_told() {
    let (a, b) = two();
    for (name, why) in [
        ("results.json", "results.json isn't what the bench writes"),
        ("env.json", "env.json isn't what the bench writes"),
    ] {
        let path = b.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        fails(a.path(), b.path(), why);
        fs::write(&path, text).unwrap();
    }
}
