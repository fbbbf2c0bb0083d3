//! `cargo xtask bench`: what a request and a connection cost, of anyport and of its peers, in figures that can be trusted.
//!
//! Four of the six count (instructions, system calls, allocations, bytes), so that a busy machine doesn't disturb them; the others are
//! ratios of times, measured in turns. docs/bench.md says how to read them.

mod build;
mod compare;
mod counted;
mod cpu;
mod environment;
mod gate;
mod handshakes;
mod html;
mod idle;
mod listeners;
mod loads;
mod options;
mod report;
mod results;
mod run_folder;
mod server;
mod session;
mod statistics;
mod table;
mod target;
mod text;
mod tool;
mod turns;

use anyhow::Context as _;
use cargo_metadata::Metadata;
use options::Options;
use report::Report;
use results::Record;
use session::Session;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What to measure, or what to do with what was measured.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Measure(Figure),
    /// Draw the page of a run, report.html, anew.
    Report(html::ReportOptions),
    /// Set two runs side by side, and say what differs by more than noise.
    Compare(compare::CompareOptions),
}

/// What to measure.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
It builds what it measures. Exit code 0 says that every row was measured; 1 that some weren't, and why stands below the table; 130 \
that it was interrupted, and what had been measured by then was printed.")]
pub(crate) enum Figure {
    /// User instructions per request, counted by valgrind's callgrind.
    Instructions(Options),
    /// System calls per request, counted by perf, with 1 and with 64 connections.
    Syscalls(Options),
    /// Allocations and allocated bytes per request, counted by valgrind's memcheck.
    Allocations(Options),
    /// Private memory per idle connection: fresh, and kept alive; with mimalloc and with the system's allocator.
    Idle(Options),
    /// CPU time per request, in turns with hyper by hand.
    Cpu(cpu::CpuOptions),
    /// CPU time per TLS handshake, full and resumed, in turns with tokio-rustls by hand.
    Handshakes(handshakes::HandshakeOptions),
}

/// # Errors
///
/// When nothing could be tried, or a run can't be read.
pub(crate) fn run(command: &Command, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    match command {
        Command::Measure(figure) => return measure(figure, metadata),
        Command::Report(options) => html::run(options)?,
        Command::Compare(options) => compare::run(options)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures and prints; the code to exit with.
///
/// # Errors
///
/// When nothing could be tried.
fn measure(figure: &Figure, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let options = figure.options();
    let mut session = Session::new(&options.only, &options.listen, metadata)?;
    let report = match figure {
        Figure::Instructions(_) => counted::run(&mut session, &counted::INSTRUCTIONS),
        Figure::Syscalls(_) => counted::run(&mut session, &counted::SYSCALLS),
        Figure::Allocations(_) => counted::run(&mut session, &counted::ALLOCATIONS),
        Figure::Idle(_) => idle::run(&mut session),
        Figure::Cpu(options) => cpu::run(&mut session, options),
        Figure::Handshakes(options) => handshakes::run(&mut session, options),
    };
    session.progress.finish_and_clear();
    print(&report, options.json)?;
    Ok(match (report.interrupted, report.is_complete()) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

impl Figure {
    fn options(&self) -> &Options {
        match self {
            Self::Instructions(options)
            | Self::Syscalls(options)
            | Self::Allocations(options)
            | Self::Idle(options) => options,
            Self::Cpu(cpu) => &cpu.options,
            Self::Handshakes(handshakes) => &handshakes.options,
        }
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
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print what was measured")?;
    if report.interrupted {
        eprintln!("interrupted: this is what had been measured");
    }
    Ok(())
}
