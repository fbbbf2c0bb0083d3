//! The command line.

use super::target::{self, Target};
use super::workload::{self, Kind, Scenario};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The workloads of `--quick`.
const QUICK: &[&str] = &["plaintext", "discard-16m", "idle"];
/// The workloads of `--server`.
const GIVEN: &[&str] = &[
    "plaintext",
    "json",
    "echo-4k",
    "download-1m",
    "discard-16m",
    "churn",
    "mixed",
    "idle",
];
/// The workloads of `--check`.
const CHECKED_WORKLOADS: &[&str] = &[
    "instructions",
    "syscalls",
    "instructions-upload",
    "syscalls-upload",
    "idle",
];

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Measure every transport that this kernel allows beside hyper by hand, with plain text,
    /// uploads and idle memory: at most 3 minutes after the builds
    #[arg(long)]
    quick: bool,
    /// Measure all targets and all workloads: about two hours
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// Compare counted figures with benches/baseline.json, and fail if one became worse
    #[arg(long, conflicts_with_all = ["quick", "all", "server", "time", "output", "workers"])]
    pub(super) check: bool,
    /// Write the figures that are measured into the baseline instead
    #[arg(long, requires = "check")]
    pub(super) update: bool,
    /// Another file than benches/baseline.json
    #[arg(long, requires = "check", value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// List targets, workloads and figures, and measure nothing
    #[arg(long)]
    pub(super) list: bool,
    /// Measure any program: NAME=COMMAND, unix:NAME=COMMAND or tls:NAME=COMMAND (docs/bench.md)
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Target::given)]
    server: Vec<Target>,
    /// Only these targets and their references (separated by commas)
    #[arg(long, value_delimiter = ',', value_name = "TARGETS", value_parser = target_name)]
    only: Vec<String>,
    /// Only these workloads (separated by commas)
    #[arg(long, value_delimiter = ',', value_name = "WORKLOADS", value_parser = workloads())]
    workload: Vec<&'static Scenario>,
    /// How long to measure, such as 90s or 20m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// The workers of servers that can have several; each needs a core beside the load's
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) workers: NonZeroUsize,
    /// The folder of the result [default: target/bench/TIME-COMMIT]
    #[arg(long, value_name = "FOLDER")]
    pub(super) output: Option<PathBuf>,
}

/// What a run measures.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) targets: Vec<Target>,
    pub(super) scenarios: Vec<&'static Scenario>,
    pub(super) time: Duration,
    /// How many rounds should fit into the time.
    pub(super) rounds: usize,
}

/// The targets of `--check`.
pub(super) fn checked_targets() -> Vec<Target> {
    let all = target::all().into_iter();
    all.filter(|target| target.is_checked).collect()
}

fn target_name(text: &str) -> Result<String, String> {
    let names: Vec<String> = target::all().into_iter().map(|of| of.name).collect();
    match names.iter().any(|name| name == text) {
        true => Ok(text.to_owned()),
        false => Err(format!("there are {}", names.join(", "))),
    }
}

fn workloads() -> impl TypedValueParser<Value = &'static Scenario> {
    PossibleValuesParser::new(workload::ALL.iter().map(|scenario| scenario.name))
        .map(|name| workload::named(&name).unwrap_or(&workload::ALL[0]))
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let unit = match unit {
        "s" => Some(1),
        "m" | "min" => Some(60),
        _ => None,
    };
    let seconds = unit.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit));
    let duration = seconds.map(Duration::from_secs);
    duration
        .filter(|time| (Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(time))
        .ok_or_else(|| "use a time from 1s to 24 hours, such as 90s or 20m".to_owned())
}

impl Options {
    pub(super) fn job(&self) -> Job {
        let (targets, scenarios) = (self.targets(), self.scenarios());
        let rounds = if self.quick { 8 } else { 15 };
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let most = match (self.quick, self.all, self.server.is_empty()) {
            (true, _, _) => Duration::from_secs(170),
            (_, true, _) => Duration::MAX,
            (_, _, false) => minutes(5),
            _ => minutes(44),
        };
        let needed = || needed(&targets, &scenarios, rounds).min(most);
        Job {
            time: self.time.unwrap_or_else(needed),
            targets,
            scenarios,
            rounds,
        }
    }

    /// With their references, unless they are only checked.
    fn targets(&self) -> Vec<Target> {
        let all = target::all();
        let mut targets = self.server.clone();
        targets.extend(all.iter().filter(|target| self.is_chosen(target)).cloned());
        let mut index = 0;
        while index < targets.len() && !self.check {
            let name = &targets[index].reference;
            if !targets.iter().any(|target| target.name == *name) {
                let reference = all.iter().find(|target| target.name == *name).cloned();
                targets.extend(reference);
            }
            index += 1;
        }
        targets
    }

    fn is_chosen(&self, target: &Target) -> bool {
        let name = target.name.as_str();
        if !self.only.is_empty() {
            self.only.iter().any(|only| only == name)
        } else if self.check {
            target.is_checked
        } else if !self.server.is_empty() {
            matches!(name, "tcp" | "axum")
        } else if self.all {
            name != "tcp-again"
        } else if self.quick {
            let is_peer = target.is_peer && target.reference != target.name && name != "axum";
            !(is_peer || target.is_rare || name == "tcp-axum")
        } else {
            !target.is_rare
        }
    }

    fn scenarios(&self) -> Vec<&'static Scenario> {
        let named = |names: &[&str]| {
            let scenarios = names.iter().filter_map(|name| workload::named(name));
            scenarios.collect()
        };
        if !self.workload.is_empty() {
            self.workload.clone()
        } else if self.check {
            named(CHECKED_WORKLOADS)
        } else if self.quick {
            named(QUICK)
        } else if self.all {
            workload::ALL.iter().collect()
        } else if !self.server.is_empty() {
            named(GIVEN)
        } else {
            let all = workload::ALL.iter();
            all.filter(|of| of.name != "instructions-upload").collect()
        }
    }
}

/// How long counting, and so many rounds of whole windows, take on a quiet machine.
fn needed(targets: &[Target], scenarios: &[&Scenario], rounds: usize) -> Duration {
    const LEAST: Duration = Duration::from_secs(20);
    let each = |(target, scenario): (&Target, &Scenario)| {
        let rounds = rounds as f64;
        match scenario.kind {
            _ if target.supports(scenario).is_err() => 0.0,
            Kind::Instructions(_) => 15.0,
            Kind::Syscalls(_) => 4.0,
            Kind::Idle(_) | Kind::Http2 => 0.7 * rounds,
            _ => 0.55 * rounds,
        }
    };
    let pairs = targets.iter().flat_map(|target| {
        let scenarios = scenarios.iter();
        scenarios.map(move |&scenario| (target, scenario))
    });
    Duration::from_secs_f64(pairs.map(each).sum()).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::{Job, Options, duration};
    use clap::Parser;
    use std::time::Duration;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn job(line: &str) -> Job {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().options.job()
    }

    fn names(job: &Job) -> String {
        let names = job.targets.iter().map(|target| target.name.as_str());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn quick_run_has_every_transport_and_its_references() {
        let job = job("--quick");
        assert_eq!(
            names(&job),
            "tcp tcp-per-core monoio monoio-epoll glommio unix monoio-unix glommio-unix tls-tcp \
            hyper hyper-monoio hyper-monoio-epoll hyper-glommio hyper-unix hyper-monoio-unix \
            hyper-glommio-unix hyper-rustls axum"
        );
        let workloads: Vec<&str> = job.scenarios.iter().map(|scenario| scenario.name).collect();
        assert_eq!(workloads, ["plaintext", "discard-16m", "idle"]);
        assert!(job.time <= Duration::from_secs(180));
    }

    #[test]
    fn time_depends_on_targets_and_workloads() {
        let minutes = |line| job(line).time.as_secs_f64() / 60.0;
        assert_eq!(minutes(""), 44.0);
        assert!((90.0..150.0).contains(&minutes("--all")));
        assert!((4.0..=5.0).contains(&minutes("--server mine=./x")));
        assert!((0.2..0.5).contains(&minutes("--all --only tcp --workload json")));
        assert_eq!(minutes("--all --only tcp --time 7m"), 7.0);
    }

    #[test]
    fn targets_have_their_references_unless_they_are_checked() {
        assert_eq!(
            names(&job("--only monoio-unix,tcp-again")),
            "monoio-unix tcp-again hyper-monoio-unix tcp hyper"
        );
        assert_eq!(names(&job("--server mine=./x")), "mine tcp axum hyper");
        assert_eq!(names(&job("--only proxy-nginx")), "proxy-nginx tcp hyper");
        assert_eq!(names(&job("--check --only tcp")), "tcp");
    }

    #[test]
    fn unknown_names_list_the_valid_ones() {
        for (flag, known) in [("--only", "monoio-unix"), ("--workload", "discard-16m")] {
            let error = Line::try_parse_from(["bench", flag, "nothing"])
                .unwrap_err()
                .to_string();
            assert!(error.contains(known), "{error}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("20m"), Ok(Duration::from_secs(1200)));
        for wrong in ["", "5", "0s", "s", "-5m", "99999999999999999999m", "2d"] {
            assert!(duration(wrong).unwrap_err().contains("20m"), "{wrong}");
        }
    }
}
