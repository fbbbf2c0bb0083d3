//! The whole matrix: backends x workloads x connections, and beside the peers, figure after figure.

mod options;
mod plan;

pub(crate) use options::MatrixOptions;

use super::results::Section;
use super::run_folder::RunFolder;
use super::session::Session;
use super::text::wrap;
use super::{check, environment, presentation};
use super::{exit_code, print};
use crate::output;
use cargo_metadata::Metadata;
use plan::{Known, Plan};
use std::process::ExitCode;
use std::time::Duration;

/// Measures part after part, prints each as soon as it's there, and keeps all of it in a folder; the code to exit with.
///
/// # Errors
///
/// When nothing could be tried, or what was measured can't be kept.
pub(super) fn run(options: &MatrixOptions, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    if let Some(targets) = options.check() {
        let mut session = Session::new(&targets, &options.listen, metadata)?;
        return check::run(&mut session, options.update);
    }
    let mut options = options.clone();
    // One order for the whole run, so that it can be repeated.
    options
        .turns
        .seed
        .get_or_insert_with(|| fastrand::u64(..1_000_000));
    let options = &options;
    let plan = Plan::new(options);
    let mut session = Session::new(&plan.targets, &options.listen, metadata)?;
    session.workers = options.workers;
    let mut environment = environment::look(session.root.as_std_path());
    environment.insert("bench.workers".to_owned(), options.workers.to_string());
    let folder = RunFolder::create(
        session.target_dir.join("bench").as_std_path(),
        options.output.as_deref(),
        command(),
        &environment,
    )?;
    let path = folder.path().display().to_string();
    session.folder = Some(folder);
    let names: Vec<&str> = plan.targets.iter().map(|target| target.name()).collect();
    output::note(wrap(&format!(
        "{} targets ({}), {} {}; about {} of measuring, once they're built. What's measured so far lies in {path} at any moment.",
        names.len(),
        names.join(", "),
        plan.parts.len(),
        if plan.parts.len() == 1 { "table" } else { "tables" },
        minutes(plan.estimate(options, 0))
    )));
    let mut known = Known::default();
    let (mut is_complete, mut is_interrupted) = (true, false);
    let count = plan.parts.len();
    for (index, part) in plan.parts.iter().enumerate() {
        let left = minutes(plan.estimate(options, index));
        session.prefix = format!("{part} ({} of {count}, {left} for all that's left) ", index + 1);
        let report = part.measure(&mut session, options, &known);
        session.progress.finish_and_clear();
        part.remember(&report, &mut known);
        is_complete &= report.is_complete();
        is_interrupted |= report.interrupted;
        // Kept first: whoever reads what's printed may have gone.
        let kept = session
            .folder
            .as_mut()
            .map(|folder| keep(folder, part.section(&report)));
        if !options.json {
            output::print(format!("{}## {part}\n\n", if index > 0 { "\n" } else { "" }))?;
        }
        print(&report, options.json)?;
        if let Some(trouble) = session.trouble() {
            return Err(trouble);
        }
        kept.transpose()?;
        if is_interrupted {
            break;
        }
    }
    output::note(format!(
        "what was measured lies in {path}; look at its report.html"
    ));
    Ok(exit_code(is_interrupted, is_complete))
}

fn minutes(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn keep(folder: &mut RunFolder, section: Section) -> anyhow::Result<()> {
    folder.add(section)?;
    presentation::write(folder.path()).map(drop)
}

/// What a reader has to type to see the same.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    ["cargo".to_owned(), "xtask".to_owned()]
        .into_iter()
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
