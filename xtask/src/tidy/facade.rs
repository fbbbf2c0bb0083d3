//! The facade holds no logic: what it re-exports can be used without it, and it has no bug of its
//! own.

use super::repo::{Repo, Violation};
use super::tokens::{is_ident, is_punct};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Each file of the facade's `src/` consists of `pub use`, `pub mod`, attributes and documentation.
pub(super) fn holds_no_logic(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.sources().filter(|(path, _)| path.starts_with("src/")) {
        // What does not lex does not compile either, and the compiler says so better.
        let Ok(tokens) = text.parse() else { continue };
        let mut lines = Vec::new();
        foreign_items(tokens, &mut lines);
        violations.extend(lines.into_iter().map(|line| {
            Violation::new(
                path,
                line,
                "the facade only re-exports (`pub use`, `pub mod`); move this to the crate it belongs to",
            )
        }));
    }
    violations
}

/// What a facade's file may hold, and the rest.
#[derive(Clone, Copy, PartialEq)]
enum Item {
    PubUse,
    PubMod,
    Foreign,
}

/// The lines where an item starts that is neither `pub use` nor `pub mod`.
fn foreign_items(tokens: TokenStream, lines: &mut Vec<usize>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_punct(&token, '#') {
            // An attribute, which documentation is too: `#[..]` or `#![..]`.
            tokens.next_if(|token| is_punct(token, '!'));
            tokens.next();
            continue;
        }
        let item = match tokens.peek().filter(|_| is_ident(&token, "pub")) {
            Some(keyword) if is_ident(keyword, "use") => Item::PubUse,
            Some(keyword) if is_ident(keyword, "mod") => Item::PubMod,
            _ => Item::Foreign,
        };
        if item == Item::Foreign && !is_punct(&token, ';') {
            lines.push(token.span().start().line);
        }
        // To the item's end: its `;`, or its braces, but for the braces of `use a::{b, c};`.
        let mut rest = std::iter::once(token).chain(tokens.by_ref());
        let end =
            rest.find(|token| is_punct(token, ';') || (item != Item::PubUse && is_braced(token)));
        if let (Item::PubMod, Some(TokenTree::Group(body))) = (item, end) {
            foreign_items(body.stream(), lines);
        }
    }
}

fn is_braced(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

#[cfg(test)]
mod tests {
    use super::holds_no_logic;
    use crate::tidy::repo::Repo;

    fn flagged(source: &str) -> Vec<String> {
        Repo::fixture(Vec::new(), &[("src/lib.rs", source)]).flagged(holds_no_logic)
    }

    #[test]
    fn re_exports_documentation_and_attributes_pass() {
        let source = r##"//! The facade: `fn main() {}` and impl blocks in the text are no items.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

pub use anyport_core::{Server, app::{self, App}};

/// Transports.
pub mod transport {
    // impl
    #[cfg(feature = "tcp")]
    pub use anyport_tcp::Tcp;
}
pub mod adapter;
"##;
        assert_eq!(flagged(source), [""; 0]);
    }

    #[test]
    fn anything_else_is_flagged_where_it_starts() {
        for item in [
            "fn serve() {}",
            "pub fn serve<T>() -> T { todo!() }",
            "impl Server {}",
            "pub struct Server { port: u16 }",
            "static PORT: Port = Port { number: 80 };",
            "macro_rules! serve { () => {}; }",
            "use std::io;",
            "pub(crate) use std::io;",
            "mod hidden { pub use std::io; }",
        ] {
            let source = format!("//! Docs.\npub use a::{{b, c}};\n{item}\npub use d::e;\n");
            assert_eq!(flagged(&source), ["src/lib.rs:3"], "{item}");
        }
    }

    #[test]
    fn logic_inside_a_module_is_flagged_too() {
        assert_eq!(
            flagged("pub mod a {\n pub mod b {\n fn c() {}\n }\n}\npub use d::e;\n"),
            ["src/lib.rs:3"]
        );
    }

    #[test]
    fn other_crates_may_hold_logic() {
        let repo = Repo::fixture(Vec::new(), &[("core/src/lib.rs", "fn serve() {}")]);
        assert_eq!(repo.flagged(holds_no_logic), [""; 0]);
    }
}
