//! A run that nobody measured: every target that the bench knows or may know, values by a formula, and all that can be missing.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Name, whether it's somebody else's, transport, its work in that of its reference.
const TARGETS: [(&str, bool, &str, f64); 24] = [
    ("tcp-per-core", false, "tcp", 1.009),
    ("tcp", false, "tcp", 1.014),
    ("monoio", false, "tcp", 1.13),
    ("monoio-epoll", false, "tcp", 1.21),
    ("glommio", false, "tcp", 1.34),
    ("unix-per-core", false, "unix", 0.998),
    ("unix", false, "unix", 1.003),
    ("tls-tcp-per-core", false, "tls", 0.972),
    ("tls-tcp", false, "tls", 0.985),
    ("tls-tcp-aws-lc-rs", false, "tls", 0.91),
    ("hyper", true, "tcp", 1.0),
    ("hyper-unix", true, "unix", 1.0),
    ("hyper-rustls", true, "tls", 1.0),
    ("rustls-session", true, "tls", 0.7),
    ("hyper-monoio", true, "tcp", 1.29),
    ("hyper-monoio-poll", true, "tcp", 1.42),
    ("hyper-glommio", true, "tcp", 1.55),
    // The longest name.
    ("hyper-glommio-unix", true, "unix", 1.47),
    ("axum", true, "tcp", 1.083),
    ("actix", true, "tcp", 1.015),
    ("ntex", true, "tcp", 0.99),
    ("ntex-uring", true, "tcp", 1.06),
    ("nginx", true, "tcp", 0.83),
    ("floor", true, "tcp", 0.55),
];

/// A reason that is long, and that must not become a tag.
pub(crate) const LONG_REASON: &str = "valgrind can't look into a program that asks the kernel by io_uring: it knows `io_uring_setup` but not what \
    <the rings> hold & what \"completions\" mean, so that it would count a server that waits forever; measure it by --only <epoll-target> instead";
/// Who can't bear the rate with 256 connections.
pub(crate) const OVERLOADED: &str = "hyper-monoio-poll";
pub(crate) const SHORT_REASON: &str = "it answers no requests";

/// Writes the folder of a run.
pub(crate) fn write(folder: &Path) {
    fs::create_dir_all(folder.join("histograms")).unwrap();
    fs::write(folder.join("results.json"), results().to_string()).unwrap();
    let environment = json!({
        "time": "2026-11-24T19:10:07Z", "commit": "0123456789ab with changes",
        "cpu.model": "Synthetic CPU <3000> & more", "cpu.cores": "2", "cpu.virtual": "yes", "memory.total": "7,950 MiB",
        "kernel.release": "6.18.0-synthetic", "kernel.version": "#1 SMP PREEMPT_DYNAMIC", "tool.rustc": "rustc 1.95.0 (synthetic 2026-11-01)",
        "limit.nofile": "20000", "limit.memlock": "8388608", "load.before": "0.10 0.20 0.30", "crate.hyper": "1.12.0",
        "sysctl.net.ipv4.tcp_rmem": "4096 131072 6291456",
    });
    fs::write(folder.join("env.json"), environment.to_string()).unwrap();
    for connections in [64, 256] {
        for target in TARGETS
            .iter()
            .filter(|target| answers(target.0) && target.0 != "nginx")
        {
            let name = format!("histograms/latency-plaintext-{connections}-{}.hgrm", target.0);
            fs::write(folder.join(name), histogram(target.3, connections)).unwrap();
        }
    }
}

/// The records of `results`, each once.
pub(crate) fn records(results: &Value) -> Vec<&Value> {
    let sections = results["sections"].as_array().unwrap();
    sections
        .iter()
        .flat_map(|section| section["records"].as_array().unwrap())
        .collect()
}

pub(crate) fn results() -> Value {
    let mut sections = Vec::new();
    let mut section = |figure: &str, about: &str, notes: Vec<&str>, records: Vec<Value>| {
        sections.push(json!({
            "figure": figure, "about": format!("Synthetic: {about}"), "notes": notes, "interrupted": figure == "idle", "records": records,
        }));
    };
    section(
        "throughput",
        "requests per second in turns with the reference; no value was measured.",
        vec!["plaintext: 3 windows were repeated."],
        throughput(),
    );
    section(
        "latency",
        "at 20,000 requests per second, from the time at which each was due.",
        vec![],
        latency(),
    );
    section("churn", "a new connection for each request.", vec![], churn());
    section("handshakes", "TLS 1.3 handshakes.", vec![], handshakes());
    section(
        "syscalls",
        "system calls per request.",
        vec![],
        counted("syscalls", &[1, 64], &[("syscalls/request", 2.0)]),
    );
    section(
        "instructions",
        "user instructions per request.",
        vec![],
        counted("instructions", &[8], &[("instructions/request", 6439.0)]),
    );
    section(
        "allocations",
        "allocations per request.",
        vec![],
        counted(
            "allocations",
            &[8],
            &[("allocations/request", 4.0), ("bytes/request", 8888.0)],
        ),
    );
    section(
        "idle",
        "private memory per idle connection.",
        vec!["The kernel's own memory isn't in it."],
        idle(),
    );
    json!({"format": 2, "run": "2026-11-24T19-10-07Z-synthetic", "command": "cargo xtask bench matrix --synthetic '<all>'", "sections": sections})
}

fn answers(target: &str) -> bool {
    target != "rustls-session"
}

/// As much of a value as each reader of JSON reads alike.
fn rounded(value: f64) -> Value {
    json!((value * 1e6).round() / 1e6)
}

fn reference(transport: &str) -> &'static str {
    match transport {
        "unix" => "hyper-unix",
        "tls" => "hyper-rustls",
        _ => "hyper",
    }
}

/// A value between -1 and 1 that looks like chance, and is the same each time.
fn noise(words: &str) -> f64 {
    let hash = words.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

struct Place<'a> {
    figure: &'a str,
    workload: &'a str,
    allocator: &'a str,
    connections: usize,
}

fn record(place: &Place<'_>, target: &(&str, bool, &str, f64), unit: &str, value: f64) -> Value {
    let value = match target.0 {
        name if name == reference(target.2) && unit.contains("ratio") => 1.0,
        name => value * (1.0 + 0.01 * noise(&format!("{name}{unit}{}{}", place.workload, place.connections))),
    };
    json!({
        "figure": place.figure, "target": target.0, "is_peer": target.1, "reference": reference(target.2), "transport": target.2,
        "workload": place.workload, "allocator": place.allocator, "connections": place.connections, "unit": unit, "value": rounded(value),
    })
}

/// With an interval of a percent or so at each side.
fn in_rounds(place: &Place<'_>, target: &(&str, bool, &str, f64), unit: &str, value: f64) -> Value {
    let mut record = record(place, target, unit, value);
    let value = record["value"].as_f64().unwrap();
    let width = 0.006 * (1.5 + noise(&format!("{}{unit}{}", target.0, place.connections)));
    let is_reference = record["target"] == record["reference"] && unit.contains("ratio");
    let width = match target.0 {
        _ if is_reference => 0.0,
        "glommio" | "ntex-uring" => 12.0 * width,
        _ => width,
    };
    record["low"] = rounded(value * (1.0 - width));
    record["high"] = rounded(value * (1.0 + width));
    record["rounds"] = json!([value * (1.0 - width), value, value * (1.0 + width)]);
    record
}

/// Of three runs, of which one was a percent or so higher.
fn in_runs(place: &Place<'_>, target: &(&str, bool, &str, f64), unit: &str, value: f64) -> Value {
    let mut record = record(place, target, unit, value);
    let value = record["value"].as_f64().unwrap();
    let highest = value * (1.01 + 0.01 * noise(&format!("{}{unit}{}", target.0, place.connections)));
    record["span"] = json!({"lowest": rounded(value), "highest": rounded(highest)});
    record["rounds"] = json!([value, value, highest]);
    record
}

fn without(mut record: Value, reason: &str) -> Value {
    for name in ["low", "high", "span", "rounds"] {
        record.as_object_mut().unwrap().remove(name);
    }
    record["value"] = Value::Null;
    record["reason"] = json!(reason);
    record
}

fn throughput() -> Vec<Value> {
    let settings = [
        ("plaintext", 1),
        ("plaintext", 16),
        ("plaintext", 64),
        ("plaintext", 256),
        ("json", 64),
        ("echo-4k", 64),
        ("download-64k", 64),
        ("websocket", 64),
    ];
    let mut records = Vec::new();
    for (workload, connections) in settings {
        let place = Place {
            figure: "throughput",
            workload,
            allocator: "mimalloc",
            connections,
        };
        for target in &TARGETS {
            let work = 1.0 + (target.3 - 1.0) * if workload == "download-64k" { 0.4 } else { 1.0 };
            for (unit, value) in [
                ("requests/s", 121_000.0 / work),
                ("rate ratio", 1.0 / work),
                ("us/request", 8.2 * work),
                ("ratio", work),
            ] {
                let mut record = in_rounds(&place, target, unit, value);
                if workload == "download-64k" && unit.starts_with('r') && unit != "ratio" && target.2 == "tcp"
                {
                    record["mark"] = json!("client-bound");
                }
                records.push(match target.0 {
                    "rustls-session" => without(record, SHORT_REASON),
                    "ntex-uring" if workload == "websocket" => without(
                        record,
                        "`peer-ntex` does not build: error[E0432]: unresolved import `ntex::ws`",
                    ),
                    _ => record,
                });
            }
        }
    }
    records.extend(plaintext_h2());
    records
}

/// Without ratios, since no reference speaks it.
fn plaintext_h2() -> impl Iterator<Item = Value> {
    const PLACE: Place<'static> = Place {
        figure: "throughput",
        workload: "plaintext-h2",
        allocator: "mimalloc",
        connections: 64,
    };
    TARGETS.iter().flat_map(|target| {
        let work = target.3;
        [("requests/s", 90_000.0 / work), ("us/request", 11.0 * work)].map(|(unit, value)| {
            let mut record = in_rounds(&PLACE, target, unit, value);
            if (target.0, unit) == ("unix", "requests/s") {
                record["mark"] = json!("client-bound");
            }
            match target.0 {
                "rustls-session" => without(record, SHORT_REASON),
                name if name == reference(target.2) => without(record, "it speaks HTTP/1 alone"),
                _ => record,
            }
        })
    })
}

fn latency() -> Vec<Value> {
    let mut records = Vec::new();
    for connections in [64, 256] {
        let place = Place {
            figure: "latency",
            workload: "plaintext",
            allocator: "mimalloc",
            connections,
        };
        for target in &TARGETS {
            for (unit, share) in [
                ("p50 us", 0.5),
                ("p90 us", 0.9),
                ("p99 us", 0.99),
                ("p99.9 us", 0.999),
                ("max us", 0.999_99),
            ] {
                let record = in_rounds(&place, target, unit, late(share, target.3, connections));
                records.push(match target.0 {
                    "rustls-session" => without(record, SHORT_REASON),
                    // Its histogram is there all the same.
                    OVERLOADED if connections == 256 => {
                        without(record, "it answers 19,000 of 20,000 requests per second")
                    }
                    _ => record,
                });
            }
        }
    }
    records
}

fn churn() -> Vec<Value> {
    let place = Place {
        figure: "churn",
        workload: "plaintext",
        allocator: "mimalloc",
        connections: 16,
    };
    let targets = TARGETS.iter().filter(|target| answers(target.0));
    let all = targets.flat_map(|target| {
        let work = target.3;
        [
            ("us/connection", 31.0 * work),
            ("connections/s", 31_000.0 / work),
            ("ratio", work),
        ]
        .map(|(unit, value)| in_rounds(&place, target, unit, value))
    });
    all.collect()
}

fn handshakes() -> Vec<Value> {
    let mut records = Vec::new();
    for (workload, time) in [("full", 230.0), ("resumed", 140.0)] {
        let place = Place {
            figure: "handshakes",
            workload,
            allocator: "mimalloc",
            connections: 16,
        };
        for target in TARGETS.iter().filter(|target| target.2 == "tls") {
            let work = target.3;
            for (unit, value) in [
                ("us/handshake", time * work),
                ("handshakes/s", 1e6 / time / work),
                ("ratio", work),
            ] {
                records.push(in_rounds(&place, target, unit, value));
            }
        }
    }
    records
}

fn counted(figure: &str, connections: &[usize], units: &[(&str, f64)]) -> Vec<Value> {
    let mut records = Vec::new();
    for &connections in connections {
        let place = Place {
            figure,
            workload: "plaintext",
            allocator: if figure == "allocations" {
                "system"
            } else {
                "mimalloc"
            },
            connections,
        };
        for target in &TARGETS {
            let is_uring = ["monoio", "glommio", "hyper-monoio", "ntex-uring"].contains(&target.0);
            for &(unit, value) in units {
                // io_uring shares its system calls among all who wait.
                let share = if figure == "syscalls" && is_uring && connections > 1 {
                    0.03
                } else {
                    1.0
                };
                let record = in_runs(&place, target, unit, value * target.3.powi(2) * share);
                records.push(match target.0 {
                    "rustls-session" => without(record, SHORT_REASON),
                    _ if is_uring && figure != "syscalls" => without(record, LONG_REASON),
                    _ => record,
                });
            }
        }
    }
    records
}

fn idle() -> Vec<Value> {
    let mut records = Vec::new();
    for (workload, size) in [("fresh", 0.45), ("kept alive", 0.52)] {
        for (allocator, more) in [("mimalloc", 1.0), ("system", 1.07)] {
            let place = Place {
                figure: "idle",
                workload,
                allocator,
                connections: 8000,
            };
            for target in &TARGETS {
                let hyper = if target.1 && target.0 != "floor" {
                    17.0
                } else {
                    1.0
                };
                let tls = if target.2 == "tls" && workload == "kept alive" {
                    9.0
                } else {
                    0.0
                };
                let mut record = in_runs(&place, target, "KiB/connection", size * more * hyper + tls);
                record["r_squared"] = json!(0.9998);
                record["points"] = json!([[1000.0, 2100.0], [8000.0, 5600.0]]);
                records.push(if target.0 == "hyper-glommio" {
                    without(record, "it ended by SIGSEGV after 4,000 connections")
                } else {
                    record
                });
            }
        }
    }
    records
}

/// A target's, in that of its reference.
pub(crate) fn work(target: &str) -> f64 {
    TARGETS.iter().find(|other| other.0 == target).unwrap().3
}

/// Microseconds within which this share of the answers comes.
pub(crate) fn late(share: f64, work: f64, connections: usize) -> f64 {
    let nines = -(1.0 - share).log10();
    60.0 * work
        * (connections as f64 / 64.0).sqrt()
        * 10_f64.powf(0.12 * nines + 0.06 * nines.powf(1.9) * work)
}

fn histogram(work: f64, connections: usize) -> String {
    let mut text = "       Value   Percentile   TotalCount 1/(1-Percentile)\n\n".to_owned();
    for tick in 0..=80 {
        let share = 1.0 - 0.5_f64.powf(f64::from(tick) / 5.0);
        text += &format!(
            "{:12.3} {share:.12} {:10} {:14.2}\n",
            late(share, work, connections),
            (share * 1e5) as u64,
            1.0 / (1.0 - share)
        );
    }
    let end = late(0.999_99, work, connections);
    text + &format!(
        "{end:12.3} {:.12} {:10}\n#[Mean    = 1, StdDeviation   = 1]\n#[Max     = {end:12.3}, Total count    = 100000]\n",
        1.0, 100_000
    )
}
