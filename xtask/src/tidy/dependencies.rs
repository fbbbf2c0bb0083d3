//! Who may depend on whom: the arrows that keep a transport, a protocol and a runtime exchangeable.

use super::repo::{Repo, Violation};
use crate::workspace::{Dependency, Member, Role};
use cargo_metadata::DependencyKind;
use std::collections::BTreeSet;

/// Crates that choose a runtime or a TLS library for whoever builds on core, or open sockets for
/// it.
///
/// Only what core itself names is judged: hyper depends on tokio's `sync` module, which brings no
/// runtime.
const CHOICES: &str = "\
    async-executor async-global-executor async-io async-net async-std boring compio \
    glommio hyper-rustls hyper-tls hyper-util io-uring mio monoio native-tls nuclei \
    openssl rustls s2n-tls smol socket2 tokio tokio-native-tls tokio-openssl \
    tokio-rustls tokio-uring tokio-util";

/// Core names no runtime and no TLS library unless a feature asks for it, and none does by default:
/// a user of glommio must not compile tokio's runtime.
pub(super) fn core_is_light(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for core in repo
        .members
        .iter()
        .filter(|member| member.role() == Role::Core)
    {
        let by_default = switched_on_by_default(core);
        for dependency in normal(core).filter(|dependency| {
            CHOICES
                .split_whitespace()
                .any(|choice| choice == dependency.name)
        }) {
            let name = &dependency.name;
            let message = if !dependency.optional {
                format!("core cannot be built without `{name}`; make it optional, behind a feature")
            } else if by_default.contains(&dependency.key) {
                format!(
                    "core's default features turn on `{name}`; leave it to the transports that need it"
                )
            } else {
                continue;
            };
            violations.push(Violation::new(core.path("Cargo.toml"), 1, message));
        }
    }
    violations
}

/// A transport depends on core alone, so that it can be published, read and replaced alone, and TLS
/// wraps any of them. One that wraps others is tested over them, and may offer a shortcut for one,
/// behind a feature.
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

/// An adapter works over every transport, so it knows none.
pub(super) fn adapters_name_no_transport(repo: &Repo) -> Vec<Violation> {
    forbidden(repo, Role::Adapter, |dependency, role| {
        let flagged = role == Role::Transport && dependency.kind != DependencyKind::Development;
        flagged.then_some("an adapter works over any `Listener`; be generic over it")
    })
}

/// Every member inherits the workspace's lints, which forbid `unsafe`: a lint that a crate forgot
/// to inherit is off there, without a word. The two that hand buffers to io_uring have lints of
/// their own.
pub(super) fn lints_are_inherited(repo: &Repo) -> Vec<Violation> {
    let own = ["transports/glommio", "transports/monoio"];
    let members = repo
        .members
        .iter()
        .filter(|member| !own.contains(&member.dir.as_str()));
    members
        .map(|member| member.path("Cargo.toml"))
        .filter(|path| {
            !repo
                .text(path)
                .is_some_and(|text| text.contains("\n[lints]\nworkspace = true\n"))
        })
        .map(|path| {
            Violation::new(
                path,
                1,
                "does not inherit the lints; add `[lints]` with `workspace = true`",
            )
        })
        .collect()
}

/// The dependencies of the members of role `from` on other members that `rule` has an objection to.
fn forbidden(
    repo: &Repo,
    from: Role,
    rule: impl Fn(&Dependency, Role) -> Option<&'static str>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in repo.members.iter().filter(|member| member.role() == from) {
        for dependency in &member.dependencies {
            let Some(target) = repo
                .members
                .iter()
                .find(|other| other.name == dependency.name)
            else {
                continue;
            };
            if let Some(advice) = rule(dependency, target.role()) {
                let message = format!("{} depends on {}; {advice}", member.name, target.name);
                violations.push(Violation::new(member.path("Cargo.toml"), 1, message));
            }
        }
    }
    violations
}

fn normal(member: &Member) -> impl Iterator<Item = &Dependency> {
    member
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
}

/// The optional dependencies that a feature turns on when nobody asked for one.
fn switched_on_by_default(member: &Member) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut todo = vec!["default".to_owned()];
    while let Some(feature) = todo.pop() {
        if let Some(implied) = member.features.get(&feature) {
            todo.extend(
                implied
                    .iter()
                    .filter(|feature| !seen.contains(*feature))
                    .cloned(),
            );
        }
        seen.insert(feature);
    }
    // `dep:x` turns x on, and so does `x/feature`, but for `x?/feature`.
    seen.iter()
        .filter_map(|feature| match feature.split_once('/') {
            Some((dependency, _)) => (!dependency.ends_with('?')).then_some(dependency),
            None => feature.strip_prefix("dep:"),
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        adapters_name_no_transport, core_is_light, lints_are_inherited, transports_stand_alone,
    };
    use crate::{
        tidy::{Invariant, repo::Repo},
        workspace::Member,
    };

    /// How many violations there are, if a member of a healthy workspace depends on these.
    fn violations(invariant: Invariant, dir: &str, name: &str, dependencies: &[&str]) -> usize {
        with(invariant, Member::fixture(dir, name, dependencies))
    }

    fn with(invariant: Invariant, member: Member) -> usize {
        let mut members = vec![
            Member::fixture("", "anyport", &["anyport-core", "optional:anyport-tcp"]),
            Member::fixture(
                "core",
                "anyport-core",
                &["hyper", "optional:tokio", "dev:tokio"],
            ),
            Member::fixture("core/testkit", "anyport-testkit", &["anyport-core"]),
            Member::fixture(
                "transports/tcp",
                "anyport-tcp",
                &["anyport-core", "dev:anyport-testkit"],
            ),
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
        let core =
            |dependencies: &[&str]| violations(core_is_light, "core", "anyport-core", dependencies);
        assert_eq!(core(&["hyper", "optional:tokio"]), 0);
        assert_eq!(core(&["tokio", "rustls", "bytes"]), 2);
        for (implied, flagged) in [("dep:tokio", 1), ("tokio/net", 1), ("tokio?/net", 0)] {
            let mut core = Member::fixture("core", "anyport-core", &["optional:tokio"]);
            core.features
                .insert("default".to_owned(), vec!["rt".to_owned()]);
            core.features
                .insert("rt".to_owned(), vec![implied.to_owned()]);
            assert_eq!(with(core_is_light, core), flagged, "{implied}");
        }
    }

    #[test]
    fn a_transport_may_be_tested_over_others_and_offer_a_shortcut_for_one() {
        let cases: [(&[&str], usize); 7] = [
            (
                &["anyport-core", "optional:anyport-tcp", "dev:anyport-tcp"],
                0,
            ),
            (&["anyport-core", "anyport-tcp"], 1),
            (&["anyport-axum"], 1),
            (&["anyport"], 1),
            (&["dev:anyport"], 1),
            (&["anyport-testkit"], 1),
            (&["build:anyport-testkit"], 1),
        ];
        for (dependencies, flagged) in cases {
            let found = violations(
                transports_stand_alone,
                "transports/x",
                "anyport-x",
                dependencies,
            );
            assert_eq!(found, flagged, "{dependencies:?}");
        }
    }

    #[test]
    fn an_adapter_may_be_tested_over_transports() {
        for (name, flagged) in [
            ("dev:anyport-tcp", 0),
            ("anyport-tcp", 1),
            ("optional:anyport-tcp", 1),
            ("build:anyport-tcp", 1),
        ] {
            let found = violations(
                adapters_name_no_transport,
                "adapters/x",
                "anyport-x",
                &["anyport-core", name],
            );
            assert_eq!(found, flagged, "{name}");
        }
    }

    #[test]
    fn a_member_without_the_lints_is_flagged() {
        let flagged = |manifest| {
            let members = vec![Member::fixture("core", "anyport-core", &[])];
            lints_are_inherited(&Repo::fixture(members, &[("core/Cargo.toml", manifest)])).len()
        };
        assert_eq!(flagged("[package]\n\n[lints]\nworkspace = true\n"), 0);
        assert_eq!(flagged("[package]\n"), 1);
    }
}
