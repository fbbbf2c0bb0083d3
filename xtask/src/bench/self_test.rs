//! `cargo xtask bench self-test`: the bench measures what's known already, and has to find it.

use super::latency;
use super::loads;
use super::options::tcp;
use super::report::{Report, Row, Unit};
use super::session::Session;
use super::statistics::{interval_of_median, median};
use super::target::Target;
use super::text::wrap;
use super::turns::{self, Course, TurnOptions, Value};
use super::{exit_code, print};
use crate::output;
use anyport_bench_load::{Address, Workload};
use cargo_metadata::Metadata;
use std::iter::zip;
use std::num::NonZeroU32;
use std::process::ExitCode;

/// How many connections ask at once.
const CONNECTIONS: usize = 16;
/// How far from 1 the ratio of a server to itself may be.
const ALIKE: f64 = 0.02;
/// How often 1 may lie outside of its interval by chance, so that it says that the bench is unfair. With the 5 % of all other intervals a bench as fair as can be would fail once in twenty times.
const UNFAIR_BY_CHANCE: f64 = 0.002;
/// By how much more CPU time [`Target::TcpSpinningTwice`] burns for each request than [`Target::TcpSpinning`], in microseconds, and how exactly that's to be found. Beside a server that
/// burns nothing there'd be more to find: it keeps the load so busy that it needn't be woken for each answer, which on a virtual machine is dear.
const SPIN: f64 = 50.0;
const SPIN_FOUND_WITHIN: f64 = 5.0;
/// [`Target::TcpStalling`] stalls for 20 ms at each thousandth request. At this rate a stall holds up a hundred others, so a tenth of all.
const STALL: f64 = 20_000.0;
const RATE: NonZeroU32 = NonZeroU32::new(5_000).unwrap();

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SelfTestOptions {
    #[command(flatten)]
    turns: TurnOptions,
    /// Where the servers listen, on this machine; port 0 is any free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", value_parser = tcp)]
    listen: Address,
}

/// Something that the bench has to find.
struct Truth {
    what: &'static str,
    found: Result<String, String>,
}

/// Measures, prints, and says what was found.
///
/// # Errors
///
/// When nothing could be tried.
pub(super) fn run(options: &SelfTestOptions, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let tests: [(&[Target], Test); 3] = [
        (&[Target::Tcp, Target::TcpAgain], a_against_a),
        (
            &[Target::Tcp, Target::TcpSpinning, Target::TcpSpinningTwice],
            added_time,
        ),
        (&[Target::Tcp, Target::TcpStalling], a_stall),
    ];
    let mut session = Session::new(&[], &options.listen, metadata)?;
    let mut truths = Vec::new();
    for (targets, test) in tests {
        session.targets = targets.to_vec();
        let (report, found) = test(&mut session, &options.turns);
        session.progress.finish_and_clear();
        print(&report, false)?;
        output::print("\n")?;
        if report.interrupted {
            return Ok(exit_code(true, false));
        }
        truths.push(found);
    }
    for truth in &truths {
        let text = match &truth.found {
            Ok(found) => format!("found: {}: {found}", truth.what),
            Err(missed) => format!("MISSED: {}: {missed}", truth.what),
        };
        output::print(wrap(&text) + "\n")?;
    }
    Ok(exit_code(false, truths.iter().all(|truth| truth.found.is_ok())))
}

type Test = fn(&mut Session, &TurnOptions) -> (Report, Truth);

/// The same server twice: no difference.
fn a_against_a(session: &mut Session, options: &TurnOptions) -> (Report, Truth) {
    let report = throughput(session, options, "A server beside itself");
    let found =
        [Unit::RateRatio, Unit::Ratio].map(|unit| row(&report, Target::TcpAgain, unit).and_then(is_one));
    let what = "a server is as fast as itself, within 2 % and as far as chance goes";
    (
        report,
        Truth {
            what,
            found: all(found),
        },
    )
}

/// Whether a ratio that has to be 1 is: its median nearly, and 1 is where the rounds say that it may be.
fn is_one(row: &Row) -> Result<String, String> {
    let ratio = value(row)?;
    let mut told = format!("{} {ratio:.3}", row.unit.label());
    if let Some(interval) = row.interval {
        told += match interval.contains(1.0) {
            true => ", and 1 lies in its 95 % interval",
            false => ", and 1 lies outside of its 95 % interval, as once in twenty times by chance",
        };
    }
    let surely = interval_of_median(&row.rounds, UNFAIR_BY_CHANCE);
    if surely.is_some_and(|surely| !surely.contains(1.0)) {
        Err(told + "; and of its 99.8 % interval, which is no chance")
    } else if (ratio - 1.0).abs() > ALIKE {
        Err(told)
    } else {
        Ok(told)
    }
}

/// A server that burns 50 microseconds more than another: exactly those.
fn added_time(session: &mut Session, options: &TurnOptions) -> (Report, Truth) {
    let report = throughput(
        session,
        options,
        "A server that burns 50 us of CPU time for each request, and one that burns 100 us",
    );
    let of = |target| row(&report, target, Unit::Microseconds);
    let found = of(Target::TcpSpinning).and_then(|once| is_added(once, of(Target::TcpSpinningTwice)?));
    let what = "who burns 50 us more takes 50 us more";
    (report, Truth { what, found })
}

/// Whether what was added lies between both, round for round, as nearly as these can tell.
fn is_added(once: &Row, twice: &Row) -> Result<String, String> {
    value(once).and_then(|_| value(twice))?;
    let added: Vec<f64> = zip(&once.rounds, &twice.rounds)
        .map(|(once, twice)| twice - once)
        .collect();
    let middle = median(&added).ok_or("there was no round")?;
    let told = format!("{middle:.1} us more");
    if (middle - SPIN).abs() <= SPIN_FOUND_WITHIN {
        Ok(told)
    } else {
        Err(told)
    }
}

/// A server that stalls now and then: it's in the tail, and nowhere else.
fn a_stall(session: &mut Session, options: &TurnOptions) -> (Report, Truth) {
    let report = latency::common(session, options, CONNECTIONS, Some(RATE), None);
    let of = |target, unit| row(&report, target, unit).and_then(value);
    let found = || {
        let (median, late) = (
            of(Target::TcpStalling, Unit::P50)?,
            of(Target::TcpStalling, Unit::P99)?,
        );
        let healthy = of(Target::Tcp, Unit::P99)?;
        let told = format!(
            "its p50 is {median:.0} us, its p99 {late:.0} us; without stalls the p99 is {healthy:.0} us"
        );
        // A tenth waits, evenly between nothing and the whole stall: so the 99th percentile is at nine tenths of it.
        let shows = late > 0.7 * STALL && late < 1.5 * STALL;
        if shows && median < 0.1 * STALL && healthy < 0.2 * STALL {
            Ok(told)
        } else {
            Err(told)
        }
    };
    let found = found();
    let what = "who stalls for 20 ms at each thousandth request is 18 ms late at the 99th percentile";
    (report, Truth { what, found })
}

fn throughput(session: &mut Session, options: &TurnOptions, what: &str) -> Report {
    let course = Course {
        figure: "self-test",
        workload: Workload::Plaintext.name(),
        connections: CONNECTIONS,
        values: vec![
            Value {
                ratio: Some(Unit::RateRatio),
                ..Value::rate(Unit::RequestsPerSecond)
            },
            Value::time(Unit::Microseconds),
        ],
        load: loads::closed(Workload::Plaintext),
    };
    turns::run(session, options, what, &[course])
}

fn row(report: &Report, target: Target, unit: Unit) -> Result<&Row, String> {
    let mut rows = report.rows.iter();
    rows.find(|row| row.target == target && row.unit == unit)
        .ok_or_else(|| format!("{target} has no {}", unit.label()))
}

fn value(row: &Row) -> Result<f64, String> {
    row.value.ok_or_else(|| row.reason.clone().unwrap_or_default())
}

fn all(found: [Result<String, String>; 2]) -> Result<String, String> {
    let is_good = found.iter().all(Result::is_ok);
    let told = found
        .map(|found| found.unwrap_or_else(|missed| missed))
        .join(", ");
    if is_good { Ok(told) } else { Err(told) }
}

#[cfg(test)]
mod tests {
    use super::{Row, Target, Unit, is_added, is_one};
    use crate::bench::statistics::{MISSES, interval_of_median, median};
    use crate::bench::target::Allocator;

    /// Ratios of fifteen rounds, of which so many are above 1.
    fn judge(above: usize, by: f64) -> Result<String, String> {
        let rounds: Vec<f64> = (0..15)
            .map(|round| if round < above { 1.0 + by } else { 1.0 - by })
            .collect();
        is_one(&Row {
            value: median(&rounds),
            interval: interval_of_median(&rounds, MISSES),
            rounds,
            ..Row::new("self-test", Target::TcpAgain, Allocator::Mimalloc, Unit::Ratio)
        })
    }

    #[test]
    fn a_fair_bench_is_called_so_however_noisy_it_is() {
        assert_eq!(
            judge(8, 0.01).unwrap(),
            "x hyper 1.010, and 1 lies in its 95 % interval"
        );
        assert!(judge(12, 0.01).unwrap().contains("outside of its 95 % interval"));
    }

    #[test]
    fn what_was_added_is_found_round_for_round() {
        let row = |times: Vec<f64>| Row {
            value: median(&times),
            rounds: times,
            ..Row::new("self-test", Target::Tcp, Allocator::Mimalloc, Unit::Microseconds)
        };
        // The machine becomes slower and slower.
        let once: Vec<f64> = (0..15).map(|round| 60.0 + 10.0 * f64::from(round)).collect();
        let added = |extra: f64| {
            let wobbles = once
                .iter()
                .enumerate()
                .map(|(round, time)| time + extra + if round % 2 == 0 { 1.0 } else { -1.0 });
            is_added(&row(once.clone()), &row(wobbles.collect()))
        };
        assert_eq!(added(49.0).unwrap(), "50.0 us more");
        assert_eq!(added(55.0).unwrap_err(), "56.0 us more");
        assert!(added(0.0).is_err());
    }

    #[test]
    fn a_bias_is_found_by_its_size_or_by_its_constancy() {
        assert!(judge(8, 0.03).is_err());
        assert!(judge(14, 0.001).unwrap_err().contains("no chance"));
        assert!(judge(1, 0.001).unwrap_err().contains("no chance"));
    }
}
