//! CPU time per request.

use super::loads;
use super::options::Options;
use super::report::{Report, Unit};
use super::session::Session;
use super::turns::{self, Course, TurnOptions, Value};
use anyport_bench_child::Workload;
use std::num::NonZeroUsize;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CpuOptions {
    #[command(flatten)]
    pub(super) options: Options,
    /// Keep-alive connections that ask at once.
    #[arg(long, value_name = "N", default_value = "16")]
    connections: NonZeroUsize,
    #[command(flatten)]
    turns: TurnOptions,
}

pub(super) fn run(session: &mut Session, options: &CpuOptions) -> Report {
    let course = Course {
        figure: "cpu",
        workload: Workload::Plaintext.name(),
        connections: options.connections.get(),
        values: vec![Value::time(Unit::Microseconds)],
        load: loads::closed(Workload::Plaintext),
    };
    let what = format!("CPU time per request with {} connections", options.connections);
    turns::run(session, &options.turns, &what, &[course])
}
