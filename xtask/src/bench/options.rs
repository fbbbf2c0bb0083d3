//! The command line.

use super::target::{self, Target};
use super::tool::look_for_io_uring;
use super::workload::{self, Kind, Scenario};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// What `--quick` asks for.
const QUICK: &[&str] = &["plaintext", "discard-16m", "idle"];
/// Not measured unless they are named: they answer other questions.
const SPECIAL: &[&str] = &[
    "floor",
    "tcp-system",
    "hyper-system",
    "tcp-again",
    "tcp-axum",
];
/// Only with `--all`: they differ little from others.
const RARE: &[&str] = &[
    "tls-tcp-per-core",
    "tls-monoio",
    "tls-glommio",
    "hyper-monoio-tls",
    "hyper-glommio-tls",
    "ntex-uring",
    "unix-per-core",
];
/// Compared with the baseline: each runtime, driver and kind of socket, and TLS.
pub(super) const CHECKED: &[&str] = &[
    "tcp",
    "tcp-per-core",
    "unix",
    "monoio",
    "monoio-epoll",
    "glommio",
    "tls-tcp",
];
const CHECKED_WORKLOADS: &[&str] = &[
    "instructions",
    "syscalls",
    "instructions-upload",
    "syscalls-upload",
    "idle",
];

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Every transport that this kernel allows beside hyper by hand, with plain text, uploads and
    /// idle memory: at most 3 minutes once it is built
    #[arg(long)]
    quick: bool,
    /// All targets and all workloads: about two hours, which it says at its start
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// Compare what noise cannot touch with benches/baseline.json, and fail if it became worse
    #[arg(long, conflicts_with_all = ["quick", "all", "server", "time", "output", "workers"])]
    pub(super) check: bool,
    /// Write the baseline anew instead
    #[arg(long, requires = "check")]
    pub(super) update: bool,
    /// Another file than benches/baseline.json
    #[arg(long, requires = "check", value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// Show targets, workloads and figures, and measure nothing
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
    /// How many workers each server has that can have several; they need as many cores beside the
    /// load's
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) workers: NonZeroUsize,
    /// The folder of the result [default: target/bench/TIME-COMMIT]
    #[arg(long, value_name = "FOLDER")]
    pub(super) output: Option<PathBuf>,
}

/// What is to be measured.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) targets: Vec<Target>,
    pub(super) scenarios: Vec<&'static Scenario>,
    pub(super) time: Duration,
    /// How many rounds are wanted within it.
    pub(super) rounds: usize,
}

/// Targets that this kernel refuses, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) targets: Vec<Target>,
    pub(super) why: String,
}

impl Job {
    /// What there is of them is left out.
    pub(super) fn leave_out_refused(&mut self) -> Option<Refused> {
        let why = look_for_io_uring().err()?;
        let needs_it = |target: &mut Target| target.needs_io_uring;
        Some(Refused {
            targets: self.targets.extract_if(.., needs_it).collect(),
            why: format!("{why:#}"),
        })
    }
}

fn target_name(text: &str) -> Result<String, String> {
    let mut names = target::all().into_iter().map(|target| target.name);
    names.find(|name| name == text).ok_or_else(|| {
        let names: Vec<String> = target::all()
            .into_iter()
            .map(|target| target.name)
            .collect();
        format!("there are {}", names.join(", "))
    })
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
        .ok_or_else(|| "write a time from 1s to 24 hours, such as 90s or 20m".to_owned())
}

impl Options {
    /// What `--check` alone asks for.
    pub(super) fn checked() -> Self {
        Self {
            quick: false,
            all: false,
            check: true,
            update: false,
            baseline: None,
            list: false,
            server: Vec::new(),
            only: Vec::new(),
            workload: Vec::new(),
            time: None,
            workers: NonZeroUsize::MIN,
            output: None,
        }
    }

    /// What these flags ask for.
    pub(super) fn job(&self) -> Job {
        let all = target::all();
        let is_meant = |target: &Target| {
            let name = target.name.as_str();
            if !self.only.is_empty() {
                return self.only.iter().any(|only| only == name);
            }
            if self.check {
                return CHECKED.contains(&name);
            }
            if !self.server.is_empty() {
                return matches!(name, "tcp" | "axum");
            }
            let is_rare = RARE.contains(&name)
                || (SPECIAL.contains(&name) && (self.quick || name != "tcp-axum"));
            if self.all {
                return !matches!(name, "tcp-again");
            }
            let is_peer = target.peer && target.reference != target.name && name != "axum";
            !(is_rare || self.quick && is_peer)
        };
        let mut targets: Vec<Target> = self.server.clone();
        targets.extend(all.iter().filter(|target| is_meant(target)).cloned());
        if !self.check {
            // Those that ratios are to, and those that theirs are to.
            let mut index = 0;
            while index < targets.len() {
                let reference = all
                    .iter()
                    .find(|target| target.name == targets[index].reference);
                if let Some(reference) = reference
                    && !targets.iter().any(|target| target.name == reference.name)
                {
                    targets.push(reference.clone());
                }
                index += 1;
            }
        }
        let named = |names: &[&str]| -> Vec<&'static Scenario> {
            names
                .iter()
                .filter_map(|name| workload::named(name))
                .collect()
        };
        let scenarios = match () {
            () if !self.workload.is_empty() => self.workload.clone(),
            () if self.check => named(CHECKED_WORKLOADS),
            () if self.quick => named(QUICK),
            () if self.all => workload::ALL.iter().collect(),
            () if !self.server.is_empty() => named(&[
                "plaintext",
                "json",
                "echo-4k",
                "download-1m",
                "discard-16m",
                "churn",
                "mixed",
                "idle",
            ]),
            () => workload::ALL
                .iter()
                .filter(|scenario| scenario.name != "instructions-upload")
                .collect(),
        };
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let most = match (self.quick, self.all, self.server.is_empty()) {
            (true, _, _) => Duration::from_secs(170),
            (_, true, _) => Duration::MAX,
            (_, _, false) => minutes(5),
            _ => minutes(44),
        };
        let rounds = if self.quick { 8 } else { 15 };
        let needed = || needed(&targets, &scenarios, rounds).min(most);
        Job {
            time: self.time.unwrap_or_else(needed),
            targets,
            scenarios,
            rounds,
        }
    }
}

/// How long so many rounds of whole windows take on a quiet machine, and counting before them.
fn needed(targets: &[Target], scenarios: &[&Scenario], rounds: usize) -> Duration {
    const LEAST: Duration = Duration::from_secs(20);
    let each = |(target, scenario): (&Target, &Scenario)| {
        let rounds = rounds as f64;
        match scenario.kind {
            _ if target.serves(scenario).is_err() => 0.0,
            Kind::Instructions(_) => 15.0,
            Kind::Syscalls(_) => 4.0,
            Kind::Idle(_) => 0.7 * rounds,
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
        let names: Vec<&str> = job
            .targets
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        names.join(" ")
    }

    #[test]
    fn quick_is_every_transport_and_its_references() {
        let job = job("--quick");
        assert_eq!(
            names(&job),
            "tcp tcp-per-core monoio monoio-epoll glommio unix monoio-unix glommio-unix tls-tcp hyper hyper-monoio \
            hyper-monoio-epoll hyper-glommio hyper-unix hyper-monoio-unix hyper-glommio-unix hyper-rustls axum"
        );
        let workloads: Vec<&str> = job.scenarios.iter().map(|scenario| scenario.name).collect();
        assert_eq!(workloads, ["plaintext", "discard-16m", "idle"]);
        assert!(job.time <= Duration::from_secs(180));
    }

    #[test]
    fn a_run_takes_as_long_as_its_targets_and_workloads_need() {
        let minutes = |line| job(line).time.as_secs_f64() / 60.0;
        assert_eq!(minutes(""), 44.0);
        assert!(
            (90.0..150.0).contains(&minutes("--all")),
            "{}",
            minutes("--all")
        );
        assert!((4.0..=5.0).contains(&minutes("--server mine=./x")));
        // Two targets, each with as many windows, and the rest of a round.
        assert!((0.2..0.5).contains(&minutes("--all --only tcp --workload json")));
        assert_eq!(minutes("--all --only tcp --time 7m"), 7.0);
    }

    #[test]
    fn references_come_along() {
        assert_eq!(
            names(&job("--only monoio-unix,tcp-again")),
            "monoio-unix tcp-again hyper-monoio-unix tcp hyper"
        );
        assert_eq!(names(&job("--server mine=./x")), "mine tcp axum hyper");
    }

    #[test]
    fn a_check_needs_no_references() {
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
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("20m"), Ok(Duration::from_secs(1200)));
        for wrong in ["", "5", "0s", "s", "-5m", "99999999999999999999m", "2d"] {
            assert!(duration(wrong).unwrap_err().contains("20m"), "{wrong}");
        }
    }
}
