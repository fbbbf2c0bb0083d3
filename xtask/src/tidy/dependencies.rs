//! Who may depend on whom: the arrows that keep a transport, a protocol and a runtime exchangeable.

use super::repo::{Repo, Violation};
use crate::workspace::{Dependency, Member, Role};
use cargo_metadata::DependencyKind;
use std::collections::BTreeSet;

/// Crates that choose a runtime or a TLS library for whoever builds on core, or open sockets for it.
///
/// Only what core itself names is judged: hyper depends on tokio's `sync` module, which brings no runtime.
const CHOICES: &[&str] = &[
    "async-executor",
    "async-global-executor",
    "async-io",
    "async-net",
    "async-std",
    "boring",
    "compio",
    "glommio",
    "hyper-rustls",
    "hyper-tls",
    "hyper-util",
    "io-uring",
    "mio",
    "monoio",
    "native-tls",
    "nuclei",
    "openssl",
    "rustls",
    "s2n-tls",
    "smol",
    "socket2",
    "tokio",
    "tokio-native-tls",
    "tokio-openssl",
    "tokio-rustls",
    "tokio-uring",
    "tokio-util",
];

/// Core names no runtime and no TLS library unless a feature asks for it, and none does by default:
/// a user of glommio must not compile tokio's runtime.
pub(super) fn core_is_light(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for core in repo.members.iter().filter(|member| member.role() == Role::Core) {
        let by_default = switched_on_by_default(core);
        for dependency in normal(core).filter(|dependency| CHOICES.contains(&dependency.name.as_str())) {
            let name = &dependency.name;
            let message = if !dependency.optional {
                format!("core cannot be built without `{name}`; make it optional, behind a feature")
            } else if by_default.contains(&dependency.key) {
                format!("core's default features turn on `{name}`; leave it to the transports that need it")
            } else {
                continue;
            };
            violations.push(repo.at_dependency(core, dependency, message));
        }
    }
    violations
}

/// A transport depends on core alone, so that it can be published, read and replaced alone, and TLS wraps any of them. One that wraps others is tested over
/// them, and may offer a shortcut for one, behind a feature.
pub(super) fn transports_stand_alone(repo: &Repo) -> Vec<Violation> {
    forbidden(repo, Role::Transport, |dependency, role| match role {
        Role::Core => None,
        Role::Testkit | Role::Transport if dependency.kind == DependencyKind::Development => None,
        Role::Transport if dependency.optional => None,
        _ => Some("a transport depends on anyport-core only (and on anyport-testkit for its tests)"),
    })
}

/// An adapter works over every transport, so it knows none.
pub(super) fn adapters_name_no_transport(repo: &Repo) -> Vec<Violation> {
    forbidden(repo, Role::Adapter, |dependency, role| {
        let flagged = role == Role::Transport && dependency.kind != DependencyKind::Development;
        flagged.then_some("an adapter works over any `Listener`; be generic over it")
    })
}

/// An example shows what a user writes, and a user has the facade only; and the testkit, for a transport of their own.
pub(super) fn examples_use_the_facade(repo: &Repo) -> Vec<Violation> {
    forbidden(repo, Role::Examples, |dependency, role| match role {
        Role::Facade => None,
        Role::Testkit if dependency.kind == DependencyKind::Development => None,
        _ => Some(
            "an example uses the facade `anyport`, with the features it needs (and anyport-testkit in its tests)",
        ),
    })
}

/// Every member inherits the workspace's lints, which forbid `unsafe`: a lint that a crate forgot to inherit is off there, without a word. The two that hand
/// buffers to io_uring have lints of their own.
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
            let Some(target) = repo.members.iter().find(|other| other.name == dependency.name) else {
                continue;
            };
            if let Some(advice) = rule(dependency, target.role()) {
                let message = format!("{} depends on {}; {advice}", member.name, target.name);
                violations.push(repo.at_dependency(member, dependency, message));
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
            todo.extend(implied.iter().filter(|feature| !seen.contains(*feature)).cloned());
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
        adapters_name_no_transport, core_is_light, examples_use_the_facade, lints_are_inherited,
        transports_stand_alone,
    };
    use crate::{tidy::repo::Repo, workspace::Member};

    /// The healthy members, and `extra`.
    fn repo(extra: Member) -> Repo {
        let mut members = vec![
            Member::fixture("", "anyport", &["anyport-core", "optional:anyport-tcp"]),
            Member::fixture("core", "anyport-core", &["hyper", "optional:tokio", "dev:tokio"]),
            Member::fixture("core/testkit", "anyport-testkit", &["anyport-core"]),
            Member::fixture(
                "transports/tcp",
                "anyport-tcp",
                &["anyport-core", "tokio", "dev:anyport-testkit"],
            ),
            Member::fixture(
                "adapters/axum",
                "anyport-axum",
                &["anyport-core", "axum", "dev:anyport-tcp"],
            ),
            Member::fixture(
                "examples",
                "anyport-examples",
                &["anyport", "tokio", "dev:anyport-testkit"],
            ),
        ];
        members.retain(|member| member.dir != extra.dir);
        members.push(extra);
        Repo::fixture(
            members,
            &[(
                "transports/x/Cargo.toml",
                "[dependencies]\nanyport-tcp.workspace = true\n",
            )],
        )
    }

    #[test]
    fn a_healthy_workspace_passes() {
        let repo = repo(Member::fixture(
            "benches",
            "anyport-benches",
            &["anyport-tcp", "anyport-core"],
        ));
        for invariant in [
            core_is_light,
            transports_stand_alone,
            adapters_name_no_transport,
            examples_use_the_facade,
        ] {
            assert_eq!(repo.flagged(invariant), [""; 0]);
        }
    }

    #[test]
    fn a_runtime_or_tls_in_core_is_flagged() {
        let core = Member::fixture("core", "anyport-core", &["tokio", "rustls", "bytes"]);
        assert_eq!(repo(core).flagged(core_is_light), ["core/Cargo.toml:1"; 2]);
    }

    #[test]
    fn a_default_feature_of_core_that_brings_a_runtime_is_flagged() {
        for implied in ["dep:tokio", "tokio/net"] {
            let mut core = Member::fixture("core", "anyport-core", &["optional:tokio"]);
            core.features.insert("default".to_owned(), vec!["rt".to_owned()]);
            core.features.insert("rt".to_owned(), vec![implied.to_owned()]);
            assert_eq!(
                repo(core).flagged(core_is_light),
                ["core/Cargo.toml:1"],
                "{implied}"
            );
        }
        let mut core = Member::fixture("core", "anyport-core", &["optional:tokio"]);
        core.features
            .insert("default".to_owned(), vec!["tokio?/net".to_owned()]);
        assert_eq!(repo(core).flagged(core_is_light), [""; 0]);
    }

    #[test]
    fn a_transport_that_names_another_is_flagged_where_it_does() {
        let transport = Member::fixture("transports/x", "anyport-x", &["anyport-core", "anyport-tcp"]);
        assert_eq!(
            repo(transport).flagged(transports_stand_alone),
            ["transports/x/Cargo.toml:2"]
        );
    }

    #[test]
    fn a_transport_may_be_tested_over_others_and_offer_a_shortcut_for_one() {
        let needs = ["anyport-core", "optional:anyport-tcp", "dev:anyport-tcp"];
        let transport = Member::fixture("transports/x", "anyport-x", &needs);
        assert_eq!(repo(transport).flagged(transports_stand_alone), [""; 0]);
    }

    #[test]
    fn a_transport_that_names_an_adapter_the_facade_or_the_testkit_is_flagged() {
        for name in [
            "anyport-axum",
            "anyport",
            "dev:anyport",
            "anyport-testkit",
            "build:anyport-testkit",
        ] {
            let transport = Member::fixture("transports/y", "anyport-y", &[name]);
            assert_eq!(repo(transport).flagged(transports_stand_alone).len(), 1, "{name}");
        }
    }

    #[test]
    fn an_adapter_that_names_a_transport_is_flagged() {
        for name in ["anyport-tcp", "optional:anyport-tcp", "build:anyport-tcp"] {
            let adapter = Member::fixture("adapters/ws", "anyport-ws", &["anyport-axum", name]);
            assert_eq!(
                repo(adapter).flagged(adapters_name_no_transport),
                ["adapters/ws/Cargo.toml:1"],
                "{name}"
            );
        }
    }

    #[test]
    fn an_example_that_looks_behind_the_facade_is_flagged() {
        for name in [
            "anyport-core",
            "dev:anyport-core",
            "dev:anyport-tcp",
            "anyport-axum",
            "anyport-testkit",
        ] {
            let examples = Member::fixture("examples", "anyport-examples", &["anyport", name]);
            assert_eq!(
                repo(examples).flagged(examples_use_the_facade),
                ["examples/Cargo.toml:1"],
                "{name}"
            );
        }
    }

    #[test]
    fn a_member_without_the_lints_is_flagged() {
        let flagged = |manifest| {
            let members = vec![Member::fixture("core", "anyport-core", &[])];
            Repo::fixture(members, &[("core/Cargo.toml", manifest)]).flagged(lints_are_inherited)
        };
        assert_eq!(flagged("[package]\n\n[lints]\nworkspace = true\n"), [""; 0]);
        assert_eq!(flagged("[package]\n"), ["core/Cargo.toml:1"]);
    }
}
