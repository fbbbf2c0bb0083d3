//! CPU time per request.

use super::options::Options;
use super::report::{Report, Unit};
use super::session::Session;
use super::turns::{self, Course, Load, TurnOptions};
use anyport_bench_load::{Amount, ClosedLoop, Workload};
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
        workload: "plaintext",
        connections: options.connections.get(),
        time: Unit::Microseconds,
        rate: None,
        load: |course, target, address, patience| {
            target.check_answers()?;
            Ok(Box::new(ClosedLoop::connect(
                address,
                Workload::Plaintext,
                course.connections,
                patience,
            )?))
        },
    };
    let what = format!("CPU time per request with {} connections", options.connections);
    turns::run(session, &options.turns, &what, &[course])
}

impl Load for ClosedLoop {
    fn run(&mut self, amount: Amount) -> anyhow::Result<u64> {
        Ok(Self::run(self, amount)?.requests)
    }
}
