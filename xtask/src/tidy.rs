//! The invariants of the workspace that no compiler checks: ARCHITECTURE.md states them, this holds them.
//!
//! Each is a pure function from a [`Repo`] to its violations, in a file of its own, with tests that make it fail.

mod dependencies;
mod facade;
mod layers;
mod links;
mod peers;
mod repo;
mod tokens;

use crate::output::print;
use cargo_metadata::Metadata;
use repo::{Repo, Violation};
use xshell::Shell;

const INVARIANTS: &[fn(&Repo) -> Vec<Violation>] = &[
    dependencies::core_is_light,
    dependencies::transports_stand_alone,
    dependencies::adapters_name_no_transport,
    dependencies::examples_use_the_facade,
    dependencies::lints_are_inherited,
    facade::holds_no_logic,
    layers::look_down,
    peers::are_built_alike,
    peers::share_versions,
    links::resolve,
];

/// Prints every violation as `path:line: what is wrong; what to do`.
///
/// # Errors
///
/// When there is one.
pub(crate) fn run(shell: &Shell, metadata: &Metadata) -> anyhow::Result<()> {
    let repo = Repo::read(shell, metadata)?;
    let mut violations: Vec<Violation> = INVARIANTS.iter().flat_map(|invariant| invariant(&repo)).collect();
    violations.sort();
    for violation in &violations {
        print(format!("{violation}\n"))?;
    }
    anyhow::ensure!(
        violations.is_empty(),
        "{} violation(s) of the workspace's invariants",
        violations.len()
    );
    print(format!(
        "tidy: {} invariants hold in {} files\n",
        INVARIANTS.len(),
        repo.file_count()
    ))
}
