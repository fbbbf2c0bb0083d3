//! The modules of core are layers: each may use the layers below it only.

use super::repo::{Repo, Violation};
use proc_macro2::{Span, TokenStream, TokenTree};

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

#[cfg(test)]
mod tests {
    use super::use_lower_layers_only;
    use crate::tidy::repo::Repo;

    fn flagged(path: &str, text: &str) -> Vec<String> {
        Repo::fixture(Vec::new(), &[(path, text)]).flagged(use_lower_layers_only)
    }

    #[test]
    fn use_of_a_lower_layer_is_allowed() {
        let text = "//! [`Server`](crate::Server)\nuse crate::{error::{Error, Result}, transport};\nfn f() { crate::engine::f(); }\nmacro_rules! m { () => { $crate::socket::f() } }\n";
        for path in [
            "core/src/engine/accept.rs",
            "core/src/http/mod.rs",
            "core/src/server.rs",
        ] {
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
    fn use_of_the_root_is_flagged() {
        for text in ["use crate::Connection;", "use crate::{Connection};"] {
            assert_eq!(
                flagged("core/src/server/mod.rs", text),
                ["core/src/server/mod.rs:1"]
            );
        }
    }

    #[test]
    fn file_outside_of_the_layers_is_flagged() {
        assert_eq!(flagged("core/src/util.rs", ""), ["core/src/util.rs:1"]);
    }
}
