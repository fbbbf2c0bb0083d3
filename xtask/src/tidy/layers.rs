//! The rooms of core are layers: each may use the rooms below it only.

use super::repo::{Repo, Violation};
use proc_macro2::{Span, TokenStream, TokenTree};

/// From the lowest to the highest.
const ROOMS: &str =
    "error config runtime transport app observe socket engine http server protocol bounds";
const SOURCES: &str = "core/src/";

/// A file of core names what it uses by `crate::`, a room, and a path; and that room is its own or
/// a lower one. So no re-export at the crate's root hides a dependency, and the rooms have no
/// cycle.
pub(super) fn look_down(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.sources() {
        let inner = path
            .strip_prefix(SOURCES)
            .filter(|inner| *inner != "lib.rs");
        let Some(inner) = inner else { continue };
        let room = inner.split(['/', '.']).next().unwrap_or_default();
        let Some(level) = level(room) else {
            let message = format!("`{room}` is no room of core; put the file into one of: {ROOMS}");
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
                    "`{room}` knows nothing of `{name}`, which is above it; ask for what it needs instead"
                ),
                None => format!("`crate::{name}` hides where it's defined; name its room"),
            };
            Some(Violation::new(path, span.start().line, message))
        }));
    }
    violations
}

fn level(room: &str) -> Option<usize> {
    ROOMS.split(' ').position(|other| other == room)
}

/// What follows `crate::`, also in the braces of `use crate::{..}`; not `$crate`, which is for a
/// macro's callers.
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
    use super::look_down;
    use crate::tidy::repo::Repo;

    fn flagged(path: &str, text: &str) -> Vec<String> {
        Repo::fixture(Vec::new(), &[(path, text)]).flagged(look_down)
    }

    #[test]
    fn a_lower_room_is_known() {
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
    fn a_higher_room_is_flagged_wherever_it_is_named() {
        let text = "use crate::http::Http;\nuse crate::{\n    error::Error,\n    server::{Server, handle},\n};\nfn f() {\n    crate::http::f();\n}\n";
        let lines = [1, 4, 7].map(|line| format!("core/src/engine/accept.rs:{line}"));
        assert_eq!(flagged("core/src/engine/accept.rs", text), lines);
    }

    #[test]
    fn the_crate_s_root_is_flagged() {
        for text in ["use crate::Connection;", "use crate::{Connection};"] {
            assert_eq!(
                flagged("core/src/server/mod.rs", text),
                ["core/src/server/mod.rs:1"]
            );
        }
    }

    #[test]
    fn a_file_beside_the_rooms_is_flagged() {
        assert_eq!(flagged("core/src/util.rs", ""), ["core/src/util.rs:1"]);
    }
}
