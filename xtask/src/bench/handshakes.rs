//! CPU time per TLS handshake, full and resumed, and how many of them a core makes in a second.

use super::loads;
use super::options::Options;
use super::report::{Report, Unit};
use super::session::Session;
use super::target::Target;
use super::turns::{self, Course, TurnOptions, Value};
use anyport_bench_load::Handshake;
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
    measure(session, &options.turns, options.connections.get())
}

pub(super) fn measure(session: &mut Session, options: &TurnOptions, connections: usize) -> Report {
    let course = |workload, handshake| Course {
        figure: "handshakes",
        workload,
        connections,
        values: vec![
            Value::time(Unit::HandshakeMicroseconds),
            Value::rate(Unit::HandshakesPerSecond),
        ],
        load: loads::handshakes(handshake),
    };
    let courses = [
        course("full", Handshake::Full),
        course("resumed", Handshake::Resumed),
    ];
    let what = format!(
        "CPU time per TLS 1.3 handshake (X25519, ECDSA on P-256, AES-256-GCM), its connection included, and handshakes per second, with \
        {connections} connections at once"
    );
    turns::run(session, options, &what, &courses)
}
