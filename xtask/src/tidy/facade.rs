//! The facade holds no logic, so the crates that it re-exports can be used without it.

use super::repo::{Repo, Violation};
use syn::{Item, ItemMod, ItemUse, Visibility, spanned::Spanned as _};

/// Each file of the facade's `src/` consists of `pub use`, `pub mod`, attributes and documentation.
pub(super) fn holds_no_logic(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.sources().filter(|(path, _)| path.starts_with("src/")) {
        // A file that does not parse does not compile either, and the compiler's message is better.
        let Ok(file) = syn::parse_file(text) else {
            continue;
        };
        let mut lines = Vec::new();
        foreign_items(&file.items, &mut lines);
        violations.extend(lines.into_iter().map(|line| {
            let message = "the facade only re-exports (`pub use`, `pub mod`); move this to the crate it belongs to";
            Violation::new(path, line, message)
        }));
    }
    violations
}

/// The lines where an item starts that is neither `pub use` nor `pub mod`.
fn foreign_items(items: &[Item], lines: &mut Vec<usize>) {
    for item in items {
        match item {
            Item::Use(ItemUse {
                vis: Visibility::Public(_),
                ..
            }) => {}
            Item::Mod(ItemMod {
                vis: Visibility::Public(_),
                content,
                ..
            }) => {
                let inside = content.as_ref().map(|(_, items)| items.as_slice());
                foreign_items(inside.unwrap_or_default(), lines);
            }
            _ => lines.push(item.span().start().line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::holds_no_logic;
    use crate::tidy::repo::Repo;

    fn flagged(path: &str, source: &str) -> Vec<String> {
        Repo::fixture(Vec::new(), &[(path, source)]).flagged(holds_no_logic)
    }

    #[test]
    fn re_exports_documentation_and_attributes_pass() {
        let source = r##"//! The facade: `fn main() {}` and impl blocks in the text are no items.
#![doc = include_str!("../README.md")]

pub use anyport_core::{Server, app::{self, App}};

/// Transports.
pub mod transport {
    #[cfg(feature = "tcp")]
    pub use anyport_tcp::Tcp;
}
pub mod adapter;
"##;
        assert_eq!(flagged("src/lib.rs", source), [""; 0]);
        assert_eq!(flagged("core/src/lib.rs", "fn serve() {}"), [""; 0]);
    }

    #[test]
    fn anything_else_is_flagged_where_it_starts() {
        for item in [
            "fn serve() {}",
            "pub fn serve<T>() -> T { todo!() }",
            "impl Server {}",
            "pub struct Server { port: u16 }",
            "macro_rules! serve { () => {}; }",
            "pub(crate) use std::io;",
            "mod hidden { pub use std::io; }",
            "pub mod a { pub mod b { fn c() {} } }",
        ] {
            let source = format!("//! Docs.\npub use a::{{b, c}};\n{item}\npub use d::e;\n");
            assert_eq!(flagged("src/lib.rs", &source), ["src/lib.rs:3"], "{item}");
        }
    }
}
