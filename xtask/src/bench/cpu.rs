//! CPU time per request.

use super::loads;
use super::options::AskedOptions;
use super::report::{Report, Unit};
use super::session::Session;
use super::text::per;
use super::turns::{self, Course, TurnOptions, Value};
use std::num::NonZeroUsize;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CpuOptions {
    #[command(flatten)]
    pub(super) asked: AskedOptions,
    /// Keep-alive connections that ask at once.
    #[arg(long, value_name = "N", default_value = "16")]
    connections: NonZeroUsize,
    #[command(flatten)]
    turns: TurnOptions,
}

pub(super) fn run(session: &mut Session, options: &CpuOptions) -> Report {
    let workload = options.asked.workload;
    let course = Course {
        figure: "cpu",
        workload: workload.name(),
        connections: options.connections.get(),
        values: vec![Value::time(Unit::Microseconds)],
        load: loads::closed(workload),
    };
    let what = per(
        workload.name(),
        &format!(
            "CPU time per request, {workload}, with {} connections",
            options.connections
        ),
    );
    turns::run(session, &options.turns, &what, &[course])
}
