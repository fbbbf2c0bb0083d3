//! Which crates may depend on which, so that transports, protocols and runtimes stay exchangeable.

use super::repo::{Repo, Violation};
use crate::workspace::{Dependency, Member, Role};
use cargo_metadata::DependencyKind;
use std::collections::BTreeSet;

/// Crates that choose a runtime or a TLS library for users of core, or open sockets for them.
///
/// Only core's own dependencies are checked. Hyper depends on tokio's `sync` module, which contains
/// no runtime.
const CHOICES: &str = "\
    async-executor async-global-executor async-io async-net async-std boring compio \
    glommio hyper-rustls hyper-tls hyper-util io-uring mio monoio native-tls nuclei \
    openssl rustls s2n-tls smol socket2 tokio tokio-native-tls tokio-openssl \
    tokio-rustls tokio-uring tokio-util";

/// Core names no runtime and no TLS library unless a feature asks for it, and no default feature
/// does. Users of glommio must not compile tokio's runtime.
pub(super) fn core_is_light(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for core in of_role(repo, Role::Core) {
        let by_default = switched_on_by_default(core);
        let choices = core.dependencies.iter().filter(|dependency| {
            let is_choice = CHOICES.split_whitespace().any(|c| c == dependency.name);
            is_choice && dependency.kind == DependencyKind::Normal
        });
        for choice in choices {
            let name = &choice.name;
            let message = if !choice.optional {
                format!("core cannot be built without `{name}`; make it optional, behind a feature")
            } else if by_default.contains(&choice.key) {
                format!("core's default features turn on `{name}`; leave it to the transports")
            } else {
                continue;
            };
            violations.push(Violation::new(core.path("Cargo.toml"), 1, message));
        }
    }
    violations
}

/// A transport depends on core alone, so that it can be published, read and replaced alone, and TLS
/// wraps any transport. A wrapper may be tested over other transports, and may offer a shortcut for
/// one, behind a feature.
pub(super) fn transports_stand_alone(repo: &Repo) -> Vec<Violation> {
    forbidden(repo, Role::Transport, |dependency, role| match role {
        Role::Core => None,
        Role::Testkit | Role::Transport if dependency.kind == DependencyKind::Development => None,
        Role::Transport if dependency.optional => None,
        _ => {
            Some("a transport depends on anyport-core only (and on anyport-testkit for its tests)")
        }
    })
}

/// An adapter works over every transport, so it depends on none. It may offer a shortcut for one,
/// behind a feature.
pub(super) fn adapters_name_no_transport(repo: &Repo) -> Vec<Violation> {
    forbidden(repo, Role::Adapter, |dependency, role| {
        let is_allowed = dependency.optional || dependency.kind == DependencyKind::Development;
        let flagged = role == Role::Transport && !is_allowed;
        flagged.then_some("an adapter works over any `Listener`; be generic over it")
    })
}

/// Every member inherits the workspace's lints, which forbid `unsafe`. A crate that forgets to
/// inherit them would have no lint and no warning. The two crates that hand buffers to io_uring
/// have lints of their own.
pub(super) fn lints_are_inherited(repo: &Repo) -> Vec<Violation> {
    let own = ["transports/glommio", "transports/monoio"];
    let mut members: Vec<&Member> = repo.members.iter().collect();
    members.retain(|member| !own.contains(&&*member.dir));
    let manifests = members.iter().map(|member| member.path("Cargo.toml"));
    let forgotten = manifests.filter(|path| {
        let text = repo.text(path).unwrap_or_default();
        !text.contains("\n[lints]\nworkspace = true\n")
    });
    let advice = "does not inherit the lints; add `[lints]` with `workspace = true`";
    forgotten
        .map(|path| Violation::new(path, 1, advice))
        .collect()
}

/// The dependencies of members of role `from` on other members, where `rule` objects.
fn forbidden(
    repo: &Repo,
    from: Role,
    rule: impl Fn(&Dependency, Role) -> Option<&'static str>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in of_role(repo, from) {
        for dependency in &member.dependencies {
            let mut members = repo.members.iter();
            let target = members.find(|other| other.name == dependency.name);
            let advice = target.and_then(|target| rule(dependency, target.role()));
            violations.extend(advice.map(|advice| {
                let message = format!("{} depends on {}; {advice}", member.name, dependency.name);
                Violation::new(member.path("Cargo.toml"), 1, message)
            }));
        }
    }
    violations
}

fn of_role(repo: &Repo, role: Role) -> impl Iterator<Item = &Member> {
    let members = repo.members.iter();
    members.filter(move |member| member.role() == role)
}

/// The optional dependencies that the default features turn on.
fn switched_on_by_default(member: &Member) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut todo = vec!["default".to_owned()];
    while let Some(feature) = todo.pop() {
        let implied = member.features.get(&feature).into_iter().flatten();
        todo.extend(implied.filter(|feature| !seen.contains(*feature)).cloned());
        seen.insert(feature);
    }
    // `dep:x` and `x/feature` turn x on; `x?/feature` does not.
    let dependencies = seen
        .iter()
        .filter_map(|feature| match feature.split_once('/') {
            Some((dependency, _)) => (!dependency.ends_with('?')).then_some(dependency),
            None => feature.strip_prefix("dep:"),
        });
    dependencies.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::Invariant;

    /// How many violations there are in a healthy workspace with this member.
    fn violations(invariant: Invariant, member: Member) -> usize {
        let mut members = vec![
            Member::fixture("", "anyport", &["anyport-core", "optional:anyport-tcp"]),
            Member::fixture(
                "core",
                "anyport-core",
                &["hyper", "optional:tokio", "dev:tokio"],
            ),
            Member::fixture("core/testkit", "anyport-testkit", &["anyport-core"]),
            Member::fixture("transports/tcp", "anyport-tcp", &["anyport-core"]),
            Member::fixture(
                "adapters/axum",
                "anyport-axum",
                &["anyport-core", "dev:anyport-tcp"],
            ),
        ];
        members.retain(|other| other.dir != member.dir);
        members.push(member);
        invariant(&Repo::fixture(members, &[])).len()
    }

    #[test]
    fn core_may_name_a_runtime_behind_a_feature_that_is_off() {
        let core = |dependencies: &[&str], implied: &str| {
            let mut core = Member::fixture("core", "anyport-core", dependencies);
            let features = [("default", "rt"), ("rt", implied)];
            let features = features.map(|(name, implied)| (name.into(), vec![implied.into()]));
            core.features = features.into();
            violations(core_is_light, core)
        };
        assert_eq!(core(&["hyper", "optional:tokio"], ""), 0);
        assert_eq!(core(&["tokio", "rustls", "bytes"], ""), 2);
        for (implied, flagged) in [("dep:tokio", 1), ("tokio/net", 1), ("tokio?/net", 0)] {
            assert_eq!(core(&["optional:tokio"], implied), flagged, "{implied}");
        }
    }

    #[test]
    fn transports_and_adapters_stand_alone_but_for_their_tests() {
        for (dependency, of_transport, of_adapter) in [
            ("anyport-core", 0, 0),
            ("dev:anyport-testkit", 0, 0),
            ("dev:anyport-tcp", 0, 0),
            // A shortcut for one transport, behind a feature.
            ("optional:anyport-tcp", 0, 0),
            ("anyport-tcp", 1, 1),
            ("build:anyport-tcp", 1, 1),
            ("anyport-axum", 1, 0),
            ("anyport", 1, 0),
            ("dev:anyport", 1, 0),
            ("anyport-testkit", 1, 0),
        ] {
            let transport = Member::fixture("transports/x", "anyport-x", &[dependency]);
            let adapter = Member::fixture("adapters/x", "anyport-y", &[dependency]);
            let found = [
                violations(transports_stand_alone, transport),
                violations(adapters_name_no_transport, adapter),
            ];
            assert_eq!(found, [of_transport, of_adapter], "{dependency}");
        }
    }

    #[test]
    fn a_member_without_the_lints_is_flagged() {
        for (manifest, flagged) in [
            ("[package]\n\n[lints]\nworkspace = true\n", 0),
            ("[package]\n", 1),
        ] {
            let members = vec![Member::fixture("core", "anyport-core", &[])];
            let repo = Repo::fixture(members, &[("core/Cargo.toml", manifest)]);
            assert_eq!(lints_are_inherited(&repo).len(), flagged);
        }
    }
}
