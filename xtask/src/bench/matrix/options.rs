//! The flags of the matrix.

use super::plan::Figure;
use crate::bench::check;
use crate::bench::options::tcp;
use crate::bench::scenario::Scenario;
use crate::bench::target::Target;
use crate::bench::turns::TurnOptions;
use anyport_bench_load::Address;
use clap::ValueEnum as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("rounds", |rounds| rounds
    .default_value_if("quick", "true", "9")
    .hide_default_value(true)
    .help("Windows of each target and its reference [default: 25, with --quick 9]")),
    mut_arg("duration", |duration| duration
    .default_value_if("quick", "true", "100ms")
    .hide_default_value(true)
    .help("How long a window lasts, such as 500ms or 2s [default: 250ms, with --quick 100ms]")))]
pub(crate) struct MatrixOptions {
    /// anyport's transports: names (separated by commas), or `all` [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = picks(false))]
    backend: Vec<Pick>,
    /// Whom to set beside them: names, `all` or `none`; hyper by hand, which ratios are to, comes along anyway [default: all, with --quick
    /// none]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAMES",
        default_value = "all",
        default_value_if("quick", "true", "none"),
        hide_default_value = true,
        value_parser = picks(true)
    )]
    peers: Vec<Pick>,
    /// What's asked of them for throughput; all other figures ask for plaintext [default: all, with --quick plaintext]
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = workloads())]
    workload: Vec<Scenario>,
    /// Keep-alive connections that ask at once, for throughput and latency [default: 64; of plaintext's throughput 1 and 256, too]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    connections: Vec<NonZeroUsize>,
    /// What to measure [default: all, with --quick throughput and syscalls]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FIGURES")]
    figure: Vec<Figure>,
    /// Every transport and hyper by hand, plaintext, throughput and syscalls: within three minutes, once it's built
    #[arg(long)]
    quick: bool,
    /// The rate at which latencies are measured, in requests per second [default: half of what the slowest target can]
    #[arg(long, value_name = "N")]
    pub(super) rate: Option<NonZeroU32>,
    /// Measure latencies at 80 % of what each target can sustain, too, which is searched for
    #[arg(long)]
    pub(super) sustainable: bool,
    #[command(flatten)]
    pub(super) turns: TurnOptions,
    /// How often what's counted is counted, and what's idle is measured [default: 3, with --quick 1]
    #[arg(
        long,
        value_name = "N",
        default_value = "3",
        default_value_if("quick", "true", "1"),
        hide_default_value = true
    )]
    pub(super) repeats: NonZeroUsize,
    /// Workers of each server that can have more than one; it needs as many cores beside the load's
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) workers: NonZeroUsize,
    /// Where the TCP and TLS servers listen, on this machine; port 0 is any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", value_parser = tcp)]
    pub(super) listen: Address,
    /// The folder for all that's measured [default: target/bench/TIME-COMMIT]
    #[arg(long, value_name = "FOLDER")]
    pub(super) output: Option<PathBuf>,
    /// Compare what noise can't touch with benches/baseline.json, and fail if it became worse [default: each runtime, driver and kind of
    /// socket, and TLS]
    #[arg(
        long,
        conflicts_with_all = ["peers", "workload", "connections", "figure", "quick", "rate", "sustainable", "repeats", "workers", "output", "json"]
    )]
    check: bool,
    /// Write benches/baseline.json anew instead
    #[arg(long, requires = "check")]
    pub(super) update: bool,
    /// Print one JSON object per row, instead of tables
    #[arg(long)]
    pub(super) json: bool,
}

/// One of the names that a flag lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    All,
    None,
    One(Target),
}

fn targets(peers: bool) -> impl Iterator<Item = Target> {
    let targets = Target::value_variants().iter().copied();
    targets.filter(move |target| target.is_peer() == peers)
}

fn picked(picks: &[Pick], peers: bool) -> Vec<Target> {
    let mut picked = Vec::new();
    for pick in picks {
        match *pick {
            Pick::All => picked.extend(targets(peers).filter(|target| target.is_for_all())),
            Pick::None => {}
            Pick::One(target) => picked.push(target),
        }
    }
    picked
}

/// The names of anyport's transports, or of the peers.
fn picks(peers: bool) -> impl TypedValueParser<Value = Pick> {
    let mut names = vec!["all"];
    names.extend(peers.then_some("none"));
    names.extend(targets(peers).map(Target::name));
    PossibleValuesParser::new(names).map(move |name| match name.as_str() {
        "all" => Pick::All,
        name => {
            let target = targets(peers).find(|target| target.name() == name);
            target.map_or(Pick::None, Pick::One)
        }
    })
}

fn workloads() -> impl TypedValueParser<Value = Scenario> {
    PossibleValuesParser::new(Scenario::ALL.map(Scenario::name))
        .map(|name| Scenario::named(&name).unwrap_or(Scenario::PLAINTEXT))
}

impl MatrixOptions {
    /// What to check, if that's wanted.
    pub(super) fn check(&self) -> Option<Vec<Target>> {
        self.check.then(|| match &self.backend[..] {
            [] => check::DEFAULT.to_vec(),
            chosen => picked(chosen, false),
        })
    }

    /// Those chosen, and what their ratios are to.
    pub(super) fn targets(&self) -> Vec<Target> {
        let backends = match &self.backend[..] {
            [] => &[Pick::All],
            chosen => chosen,
        };
        let mut chosen = picked(backends, false);
        chosen.extend(picked(&self.peers, true));
        let references: Vec<Target> = chosen.iter().map(|target| target.reference()).collect();
        let mut unique = Vec::new();
        for target in chosen.into_iter().chain(references) {
            if !unique.contains(&target) {
                unique.push(target);
            }
        }
        unique
    }

    pub(super) fn scenarios(&self) -> Vec<Scenario> {
        match (&self.workload[..], self.quick) {
            ([], true) => vec![Scenario::PLAINTEXT],
            ([], false) => Scenario::ALL.to_vec(),
            (chosen, _) => chosen.to_vec(),
        }
    }

    pub(super) fn connections(&self, scenario: Scenario) -> Vec<usize> {
        match (&self.connections[..], scenario) {
            ([], Scenario::PLAINTEXT) if !self.quick => vec![1, 64, 256],
            ([], _) => vec![64],
            (chosen, _) => chosen.iter().map(|connections| connections.get()).collect(),
        }
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        match (&self.figure[..], self.quick) {
            ([], true) => vec![Figure::Throughput, Figure::Syscalls],
            ([], false) => Figure::value_variants().to_vec(),
            (chosen, _) => chosen.to_vec(),
        }
    }
}
