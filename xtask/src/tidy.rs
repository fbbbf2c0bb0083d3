//! The invariants of the workspace that no compiler checks. ARCHITECTURE.md states them.
//!
//! Each is a pure function from a [`Repo`] to its violations, in a file of its own, with tests that
//! make it fail.

mod dependencies;
mod facade;
mod layers;
pub(crate) mod repo;

use crate::output::print;
use cargo_metadata::Metadata;
use repo::{Repo, Violation};
use xshell::Shell;

/// A rule, as a function that finds its violations.
pub(crate) type Invariant = fn(&Repo) -> Vec<Violation>;

/// The rules that guard the architecture.
pub(crate) const INVARIANTS: &[Invariant] = &[
    dependencies::core_is_light,
    dependencies::transports_stand_alone,
    dependencies::adapters_name_no_transport,
    dependencies::lints_are_inherited,
    facade::holds_no_logic,
    layers::use_lower_layers_only,
    layers::have_no_cycle,
];

/// Prints every violation as `path:line: what is wrong; what to do`.
///
/// # Errors
///
/// When there is any violation.
pub(crate) fn hold(
    invariants: &[Invariant],
    shell: &Shell,
    metadata: &Metadata,
) -> anyhow::Result<()> {
    let repo = Repo::read(shell, metadata)?;
    let found = invariants.iter().flat_map(|invariant| invariant(&repo));
    let mut violations: Vec<Violation> = found.collect();
    violations.sort();
    for violation in &violations {
        print(format!("{violation}\n"))?;
    }
    let count = violations.len();
    anyhow::ensure!(
        count == 0,
        "{count} violation(s) of the workspace's invariants"
    );
    print(format!("{} invariants hold\n", invariants.len()))
}
