//! Each feature has to work alone. A build of the whole workspace turns all features on, which
//! hides a missing one.

use crate::workspace::{Member, Role};
use xshell::{Shell, cmd};

/// Checks every library with no features, then with each of its features alone.
pub(super) fn run(shell: &Shell, members: &[Member]) -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for member in members.iter().filter(|member| is_library(member)) {
        let name = &member.name;
        for feature in selections(member) {
            let arguments = feature.iter().flat_map(|feature| ["--features", feature]);
            let check = cmd!(
                shell,
                "cargo check --quiet --package {name} --no-default-features {arguments...}"
            );
            if check.run().is_err() {
                broken.push(format!("{name} with {}", feature.unwrap_or("no feature")));
            }
        }
    }
    anyhow::ensure!(
        broken.is_empty(),
        "these do not compile: {}",
        broken.join(", ")
    );
    Ok(())
}

/// Whether users depend on this package, and so choose its features.
fn is_library(member: &Member) -> bool {
    matches!(
        member.role(),
        Role::Facade | Role::Core | Role::Transport | Role::Adapter
    )
}

/// The selections of features: none, then each feature alone.
fn selections(member: &Member) -> impl Iterator<Item = Option<&str>> {
    std::iter::once(None).chain(member.features.keys().map(|feature| Some(feature.as_str())))
}

#[cfg(test)]
mod tests {
    use super::{Member, is_library, selections};

    #[test]
    fn none_and_each_feature_alone() {
        let mut member = Member::fixture("core", "anyport-core", &[]);
        for feature in ["http1", "tokio"] {
            member.features.insert(feature.to_owned(), Vec::new());
        }
        assert_eq!(
            selections(&member).collect::<Vec<_>>(),
            [None, Some("http1"), Some("tokio")]
        );
    }

    #[test]
    fn tools_and_examples_have_no_users() {
        for (dir, expected) in [
            ("", true),
            ("core", true),
            ("transports/tcp", true),
            ("examples", false),
            ("xtask", false),
        ] {
            assert_eq!(
                is_library(&Member::fixture(dir, "x", &[])),
                expected,
                "{dir}"
            );
        }
    }
}
