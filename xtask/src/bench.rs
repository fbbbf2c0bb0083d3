//! `cargo xtask bench`: what a request and a connection cost, of anyport and of its peers, in figures that can be trusted.
//!
//! Some count (instructions, system calls, allocations, bytes), so that a busy machine hardly disturbs them; the others are ratios of times, measured in
//! turns. docs/bench.md says how to read them.

mod build;
mod check;
mod cite;
mod compare;
mod counted;
mod cpu;
mod environment;
mod gate;
mod handshakes;
mod idle;
mod latency;
mod listeners;
mod loads;
mod matrix;
mod options;
mod place;
mod presentation;
mod repeats;
mod report;
mod results;
mod run_folder;
mod scenario;
mod self_test;
mod server;
mod session;
mod statistics;
mod table;
mod target;
mod text;
mod tolerance;
mod tool;
mod turns;

use crate::output;
use cargo_metadata::Metadata;
use counted::Counted;
use matrix::MatrixOptions;
use options::{AskedOptions, Options};
use report::Report;
use results::Record;
use session::Session;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use target::Allocator;

/// The matrix, or one figure of it.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
It builds what it measures. Exit code 0 says that every row was measured that can be; 1 that some weren't, and why stands below the table; 130 \
that it was interrupted, and what had been measured by then was printed."
)]
pub(crate) struct Bench {
    #[command(flatten)]
    matrix: MatrixOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

/// One figure, for daily work, or something about the bench itself.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// User instructions per request, counted by valgrind's callgrind
    Instructions(AskedOptions),
    /// System calls per request, counted by perf, with 1 and with 64 connections
    Syscalls(AskedOptions),
    /// Allocations and allocated bytes per request, counted by valgrind's memcheck
    Allocations(AskedOptions),
    /// Private memory per idle connection: fresh, and kept alive; with mimalloc and with the system's allocator
    Idle(Options),
    /// CPU time per request, in turns with hyper by hand
    Cpu(cpu::CpuOptions),
    /// CPU time per TLS handshake, full and resumed, in turns with tokio-rustls by hand
    Handshakes(handshakes::HandshakeOptions),
    /// Build what `--check` measures, and measure nothing: a machine that's busy can do that beforehand
    Build,
    /// Measure what's known already, to see whether the bench finds it
    SelfTest(self_test::SelfTestOptions),
    /// Draw the page of a run, report.html, and its tables, summary.md, anew
    Report(presentation::ReportOptions),
    /// Set two runs side by side, and say what differs by more than noise
    Compare(compare::CompareOptions),
    /// Let the documents cite another run: their links, and the figures in them and in their tables
    Cite(cite::CiteOptions),
}

/// Measures and prints; the code to exit with.
///
/// # Errors
///
/// When nothing could be tried.
pub(crate) fn run(bench: &Bench, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let figure =
        |options: &Options, measure: &dyn Fn(&mut Session) -> Report| one(options, metadata, measure);
    let counted = |asked: &AskedOptions, what: Counted| {
        let what = what.of(asked.workload);
        figure(&asked.options, &|session| {
            counted::run(session, &what, NonZeroUsize::MIN)
        })
    };
    match &bench.command {
        None => matrix::run(&bench.matrix, metadata),
        Some(Command::Instructions(options)) => counted(options, counted::INSTRUCTIONS),
        Some(Command::Syscalls(options)) => counted(options, counted::SYSCALLS),
        Some(Command::Allocations(options)) => counted(options, counted::ALLOCATIONS),
        Some(Command::Idle(options)) => figure(options, &|session| {
            let both = [Allocator::Mimalloc, Allocator::System];
            idle::run(session, idle::STEPS, &both, NonZeroUsize::MIN)
        }),
        Some(Command::Cpu(cpu)) => figure(&cpu.asked.options, &|session| cpu::run(session, cpu)),
        Some(Command::Handshakes(handshakes)) => figure(&handshakes.options, &|session| {
            handshakes::run(session, handshakes)
        }),
        Some(Command::Build) => check::build(metadata),
        Some(Command::SelfTest(options)) => self_test::run(options, metadata),
        Some(Command::Report(options)) => presentation::run(options).map(|()| ExitCode::SUCCESS),
        Some(Command::Compare(options)) => compare::run(options).map(|()| ExitCode::SUCCESS),
        Some(Command::Cite(options)) => cite::run(options, metadata).map(|()| ExitCode::SUCCESS),
    }
}

/// One figure of the targets that are named.
fn one(
    options: &Options,
    metadata: &Metadata,
    measure: &dyn Fn(&mut Session) -> Report,
) -> anyhow::Result<ExitCode> {
    let mut session = Session::new(&options.only, &options.listen, metadata)?;
    let report = measure(&mut session);
    session.progress.finish_and_clear();
    print(&report, options.json)?;
    Ok(exit_code(report.interrupted, report.is_complete()))
}

fn exit_code(is_interrupted: bool, is_complete: bool) -> ExitCode {
    match (is_interrupted, is_complete) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    }
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let text = if json {
        let rows = report
            .rows
            .iter()
            .map(|row| serde_json::to_string(&Record::from(row)));
        rows.map(|row| Ok(row? + "\n"))
            .collect::<anyhow::Result<String>>()?
    } else {
        table::draw(report)
    };
    output::print(text)?;
    if report.interrupted {
        output::note("interrupted: this is what had been measured");
    }
    Ok(())
}
