//! CPU time per TLS handshake, full and resumed, and how many of them a core makes in a second.

use super::options::Options;
use super::report::{Report, Unit};
use super::session::Session;
use super::target::Target;
use super::turns::{self, Course, Load, TurnOptions};
use anyport_bench_load::{Address, Amount, Handshake, Handshakes, Patience};
use std::num::NonZeroUsize;

#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("only", |only| only.default_values(Target::DEFAULT_TLS.map(Target::name))))]
pub(crate) struct HandshakeOptions {
    #[command(flatten)]
    pub(super) options: Options,
    /// Connections that are made at once.
    #[arg(long, value_name = "N", default_value = "16")]
    connections: NonZeroUsize,
    #[command(flatten)]
    turns: TurnOptions,
}

pub(super) fn run(session: &mut Session, options: &HandshakeOptions) -> Report {
    let course = |workload, load| Course {
        figure: "handshakes",
        workload,
        connections: options.connections.get(),
        time: Unit::HandshakeMicroseconds,
        rate: Some(Unit::HandshakesPerSecond),
        load,
    };
    let courses = [
        course("full", |course, target, address, patience| {
            load(Handshake::Full, course, target, address, patience)
        }),
        course("resumed", |course, target, address, patience| {
            load(Handshake::Resumed, course, target, address, patience)
        }),
    ];
    let what = format!(
        "CPU time per TLS 1.3 handshake (X25519, ECDSA on P-256, AES-256-GCM), its connection included, and handshakes per second, with {} \
        connections at once",
        options.connections
    );
    turns::run(session, &options.turns, &what, &courses)
}

fn load(
    handshake: Handshake,
    course: &Course,
    target: Target,
    address: &Address,
    patience: &Patience,
) -> anyhow::Result<Box<dyn Load>> {
    anyhow::ensure!(target.is_tls(), "it makes no TLS handshakes");
    let load = Handshakes::new(address, course.connections, handshake, patience)?;
    Ok(Box::new(load))
}

impl Load for Handshakes {
    fn run(&mut self, amount: Amount) -> anyhow::Result<u64> {
        Self::run(self, amount)
    }
}
