//! The modules of core are layers: each may use the layers below it only.

use super::repo::{Repo, Violation};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::{Item, UseTree, Visibility};

/// The layers, from the lowest to the highest.
const LAYERS: &str =
    "error config runtime transport app observe socket engine http server protocol bounds";
const SOURCES: &str = "core/src/";

/// A file of core names each item by `crate::`, a layer, and a path. The layer is its own or a
/// lower one. So no re-export at the crate's root hides a dependency, and the layers have no cycle.
pub(super) fn use_lower_layers_only(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.sources() {
        let inner = path
            .strip_prefix(SOURCES)
            .filter(|inner| *inner != "lib.rs");
        let Some(inner) = inner else { continue };
        let layer = inner.split(['/', '.']).next().unwrap_or_default();
        let Some(level) = level(layer) else {
            let message =
                format!("`{layer}` is not a layer of core; put the file into one of: {LAYERS}");
            violations.push(Violation::new(path, 1, message));
            continue;
        };
        // A file that does not lex does not compile either, and the compiler's message is better.
        let Ok(tokens) = text.parse() else { continue };
        let mut named = Vec::new();
        names(tokens, &mut named);
        violations.extend(named.into_iter().filter_map(|(name, span)| {
            let message = match self::level(&name) {
                Some(other) if other <= level => return None,
                Some(_) => format!(
                    "`{layer}` must not use `{name}`, which is above it; pass what it needs as a parameter or a trait"
                ),
                None => format!("`crate::{name}` hides where the item is defined; name its layer"),
            };
            Some(Violation::new(path, span.start().line, message))
        }));
    }
    violations
}

fn level(layer: &str) -> Option<usize> {
    LAYERS.split(' ').position(|other| other == layer)
}

/// The names that follow `crate::`, including those in the braces of `use crate::{..}`. `$crate`
/// does not count, because it is for the callers of a macro.
fn names(tokens: TokenStream, found: &mut Vec<(String, Span)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            names(group.stream(), found);
        }
    }
    for (at, path) in tokens.windows(4).enumerate() {
        let is_callers = at > 0 && is(&tokens[at - 1], "$");
        if is_callers || !(is(&path[0], "crate") && is(&path[1], ":") && is(&path[2], ":")) {
            continue;
        }
        let listed: Vec<TokenTree> = match &path[3] {
            TokenTree::Group(group) => group.stream().into_iter().collect(),
            name => vec![name.clone()],
        };
        let firsts = listed
            .split(|token| is(token, ","))
            .filter_map(|path| path.first());
        found.extend(firsts.map(|name| (name.to_string(), name.span())));
    }
}

fn is(token: &TokenTree, text: &str) -> bool {
    !matches!(token, TokenTree::Group(_)) && token.to_string() == text
}

/// No file of core imports, over any number of files, from itself. A re-export is no import: it
/// leads to the file that defines the item.
pub(super) fn have_no_cycle(repo: &Repo) -> Vec<Violation> {
    let (mut imports, mut exports) = (BTreeMap::new(), BTreeMap::new());
    for (path, text) in repo.sources().filter(|(path, _)| path.starts_with(SOURCES)) {
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
        let mut imported = Vec::new();
        for item in syn::parse_file(text).map_or(Vec::new(), |file| file.items) {
            let Item::Use(item) = item else { continue };
            leaves(&item.tree, module, &mut |name, path| match item.vis {
                Visibility::Inherited => imported.push(path),
                _ => drop(exports.insert(format!("{module}/{name}"), path)),
            });
        }
        imports.insert(module, (path, imported));
    }
    let mut uses = BTreeSet::new();
    for (user, (_, paths)) in &imports {
        for mut item in paths.iter().map(String::as_str) {
            while !imports.contains_key(item) && !item.is_empty() {
                item = match exports.get(item) {
                    Some(defined) if defined != item => defined.as_str(),
                    _ => parent(item),
                };
            }
            uses.insert((*user, item));
        }
    }
    uses.retain(|(user, file)| user != file);
    // What uses no file of a cycle, or what none uses, is in no cycle.
    for _ in 0..imports.len() {
        let (users, files): (BTreeSet<_>, BTreeSet<_>) = uses.iter().copied().unzip();
        uses.retain(|(user, file)| files.contains(user) && users.contains(file));
    }
    let message = |file| format!("`{file}` leads back here; move what both need below them");
    let violation = |(user, file)| Violation::new(imports[user].0, 1, message(file));
    uses.into_iter().map(violation).collect()
}

/// The names that a `use` within `module` makes, each with the path that it stands for.
fn leaves(tree: &UseTree, module: &str, found: &mut impl FnMut(&Ident, String)) {
    match tree {
        UseTree::Path(path) if path.ident == "crate" => leaves(&path.tree, "core/src", found),
        UseTree::Path(path) if path.ident == "self" => leaves(&path.tree, module, found),
        UseTree::Path(path) if path.ident == "super" => leaves(&path.tree, parent(module), found),
        UseTree::Path(path) => leaves(&path.tree, &format!("{module}/{}", path.ident), found),
        UseTree::Name(name) => found(&name.ident, format!("{module}/{}", name.ident)),
        UseTree::Rename(name) => found(&name.rename, format!("{module}/{}", name.ident)),
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves(tree, module, found);
            }
        }
        UseTree::Glob(_) => {}
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::{have_no_cycle, use_lower_layers_only};
    use crate::tidy::repo::Repo;

    fn flagged(path: &str, text: &str) -> Vec<String> {
        Repo::fixture(Vec::new(), &[(path, text)]).flagged(use_lower_layers_only)
    }

    #[test]
    fn use_of_a_lower_layer_is_allowed() {
        let text = "//! [`Server`](crate::Server)\nuse crate::{error::{Error, Result}, transport};\nfn f() { crate::engine::f(); }\nmacro_rules! m { () => { $crate::socket::f() } }\n";
        for path in ["core/src/engine/accept.rs", "core/src/http/mod.rs"] {
            assert_eq!(flagged(path, text), [""; 0], "{path}");
        }
        for path in ["core/src/lib.rs", "transports/tcp/src/lib.rs"] {
            assert_eq!(flagged(path, "use crate::Tcp;"), [""; 0]);
        }
    }

    #[test]
    fn use_of_a_higher_layer_is_flagged_everywhere() {
        let text = "use crate::http::Http;\nuse crate::{\n    error::Error,\n    server::{Server, handle},\n};\nfn f() {\n    crate::http::f();\n}\n";
        let lines = [1, 4, 7].map(|line| format!("core/src/engine/accept.rs:{line}"));
        assert_eq!(flagged("core/src/engine/accept.rs", text), lines);
    }

    #[test]
    fn the_crate_s_root_and_a_file_beside_the_layers_are_flagged() {
        for text in ["use crate::Connection;", "use crate::{Connection};"] {
            assert_eq!(flagged("core/src/app.rs", text), ["core/src/app.rs:1"]);
        }
        assert_eq!(flagged("core/src/util.rs", ""), ["core/src/util.rs:1"]);
    }

    #[test]
    fn a_cycle_of_files_is_flagged_through_re_exports() {
        let flagged = |c| {
            let a = ("core/src/a.rs", "use super::b::B; use std::fmt;");
            let b = ("core/src/b/mod.rs", "pub use {d::{B, d}, m}; use c::C;");
            let d = ("core/src/b/d.rs", "use crate::{a, b::m, c::C as D};");
            Repo::fixture(Vec::new(), &[a, b, ("core/src/c.rs", c), d]).flagged(have_no_cycle)
        };
        let cycle = ["core/src/a.rs:1", "core/src/b/d.rs:1"];
        assert_eq!(flagged("use super::e::E;"), cycle);
        assert_eq!(flagged("use crate::b::B;").len(), 4, "a cycle of c, too");
    }
}
