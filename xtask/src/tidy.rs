//! The invariants of the workspace that no compiler checks: ARCHITECTURE.md states them, this holds
//! them.
//!
//! Each is a pure function from a [`Repo`] to its violations, in a file of its own, with tests that
//! make it fail.

mod dependencies;
mod facade;
mod layers;
pub(crate) mod repo;
mod tokens;

use crate::output::print;
use cargo_metadata::Metadata;
use repo::{Repo, Violation};
use xshell::Shell;

/// What holds, or is violated somewhere.
pub(crate) type Invariant = fn(&Repo) -> Vec<Violation>;

/// Those that guard the architecture.
pub(crate) const INVARIANTS: &[Invariant] = &[
    dependencies::core_is_light,
    dependencies::transports_stand_alone,
    dependencies::adapters_name_no_transport,
    dependencies::lints_are_inherited,
    facade::holds_no_logic,
    layers::look_down,
];

/// Prints every violation as `path:line: what is wrong; what to do`.
///
/// # Errors
///
/// When there is one.
pub(crate) fn hold(
    invariants: &[Invariant],
    shell: &Shell,
    metadata: &Metadata,
) -> anyhow::Result<()> {
    let repo = Repo::read(shell, metadata)?;
    let mut violations: Vec<Violation> = invariants
        .iter()
        .flat_map(|invariant| invariant(&repo))
        .collect();
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
        "{} invariants hold in {} files\n",
        invariants.len(),
        repo.file_count()
    ))
}
