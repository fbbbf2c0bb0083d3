//! `unsafe` is forbidden, but for the two crates that hand buffers to io_uring; there, each use argues its safety.

use super::repo::{Repo, Violation};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The crates that may hold `unsafe`.
const ALLOWED: &[&str] = &["transports/glommio", "transports/monoio"];

/// The workspaces: this one, and the one of the bench's peers, which no metadata of this one knows.
const WORKSPACES: &[&str] = &["Cargo.toml", "benches/peers/Cargo.toml"];

/// Every member inherits the workspace's lints, and these forbid `unsafe_code`: a lint that a crate
/// forgot to inherit is off there, without a word.
pub(super) fn lints_are_inherited(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    let members = repo
        .members
        .iter()
        .filter(|member| !ALLOWED.contains(&member.dir.as_str()))
        .map(|member| member.path("Cargo.toml"));
    let peers = repo
        .files_in("benches/peers")
        .filter(|path| path.ends_with("/Cargo.toml"))
        .map(|path| format!("benches/peers/{path}"));
    for path in members.chain(peers) {
        let inherited = repo
            .text(&path)
            .and_then(|text| section_line(text, "lints", "workspace = true"));
        if inherited.is_none() {
            violations.push(Violation::new(
                path,
                1,
                "does not inherit the lints; add `[lints]` with `workspace = true`",
            ));
        }
    }
    for &path in WORKSPACES {
        // The second may be missing; without the first, nothing is built.
        let Some(text) = repo.text(path) else { continue };
        if section_line(text, "workspace.lints.rust", r#"unsafe_code = "forbid""#).is_none() {
            let message =
                r#"unsafe code is not forbidden; put `unsafe_code = "forbid"` into [workspace.lints.rust]"#;
            violations.push(Violation::new(path, 1, message));
        }
    }
    violations
}

/// Where a crate may hold `unsafe`, each block and each `unsafe impl` stands under a `// SAFETY:` comment:
/// the reader can check an argument, not a silence.
pub(super) fn safety_is_argued(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    let allowed = |path: &str| ALLOWED.iter().any(|dir| path.starts_with(&format!("{dir}/")));
    for (path, text) in repo.sources().filter(|(path, _)| allowed(path)) {
        // What does not lex does not compile either, and the compiler says so better.
        let Ok(tokens) = text.parse() else { continue };
        let mut uses = Vec::new();
        unsafe_uses(tokens, &mut uses);
        let lines: Vec<&str> = text.lines().collect();
        uses.retain(|&line| !is_argued(&lines, line));
        violations.extend(uses.into_iter().map(|line| {
            Violation::new(
                path,
                line,
                "`unsafe` without an argument; say above it why it is sound, as `// SAFETY: ..`",
            )
        }));
    }
    violations
}

/// The line of `line` in the section `[header]` of a manifest.
fn section_line(manifest: &str, header: &str, line: &str) -> Option<usize> {
    let squeeze = |text: &str| {
        text.split('#')
            .next()
            .unwrap_or_default()
            .replace([' ', '\t'], "")
    };
    let (header, line) = (format!("[{header}]"), squeeze(line));
    let mut inside = false;
    for (number, candidate) in (1..).zip(manifest.lines().map(squeeze)) {
        if candidate.starts_with('[') {
            inside = candidate == header;
        } else if inside && candidate == line {
            return Some(number);
        }
    }
    None
}

/// The lines of `unsafe { .. }` and `unsafe impl`, in macros too; an `unsafe fn` states its contract in its documentation.
fn unsafe_uses(tokens: TokenStream, lines: &mut Vec<usize>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Ident(ident) if ident == "unsafe" => {
                let is_use = match tokens.peek() {
                    Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
                    Some(TokenTree::Ident(next)) => next == "impl",
                    _ => false,
                };
                if is_use {
                    lines.push(ident.span().start().line);
                }
            }
            TokenTree::Group(group) => unsafe_uses(group.stream(), lines),
            _ => {}
        }
    }
}

/// Whether a `// SAFETY:` stands in the comment right above the line with this number.
fn is_argued(lines: &[&str], number: usize) -> bool {
    lines[..number - 1]
        .iter()
        .rev()
        .map(|line| line.trim_start())
        .take_while(|line| line.starts_with("//") || line.starts_with("#["))
        .any(|line| line.starts_with("// SAFETY: "))
}

#[cfg(test)]
mod tests {
    use super::{lints_are_inherited, safety_is_argued};
    use crate::{tidy::repo::Repo, workspace::Member};

    const ROOT: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[lints]\nworkspace = true # all\n";

    fn manifests(root: &str, member_dir: &str, member: &str) -> Vec<String> {
        let members = vec![
            Member::fixture("", "anyport", &[]),
            Member::fixture(member_dir, "x", &[]),
        ];
        let path = format!("{member_dir}/Cargo.toml");
        Repo::fixture(members, &[("Cargo.toml", root), (&path, member)]).flagged(lints_are_inherited)
    }

    #[test]
    fn a_member_without_the_lints_is_flagged() {
        assert_eq!(manifests(ROOT, "core", "[lints]\nworkspace=true\n"), [""; 0]);
        assert_eq!(
            manifests(ROOT, "core", "[package]\nworkspace = true\n"),
            ["core/Cargo.toml:1"]
        );
        assert_eq!(
            manifests(ROOT, "core", "[lints]\n# workspace = true\n"),
            ["core/Cargo.toml:1"]
        );
        assert_eq!(
            manifests(
                ROOT,
                "transports/monoio",
                "[lints.rust]\nunsafe_code = \"deny\"\n"
            ),
            [""; 0]
        );
    }

    #[test]
    fn lints_that_do_not_forbid_unsafe_are_flagged() {
        let root = ROOT.replace("forbid", "deny");
        assert_eq!(
            manifests(&root, "core", "[lints]\nworkspace = true\n"),
            ["Cargo.toml:1"]
        );
    }

    #[test]
    fn the_peers_are_no_exception() {
        let peers = |root, member| {
            let files = [
                ("Cargo.toml", ROOT),
                ("benches/peers/Cargo.toml", root),
                ("benches/peers/x/Cargo.toml", member),
            ];
            Repo::fixture(Vec::new(), &files).flagged(lints_are_inherited)
        };
        assert_eq!(peers(ROOT, ROOT), [""; 0]);
        assert_eq!(peers(ROOT, "[lints]\n"), ["benches/peers/x/Cargo.toml:1"]);
        assert_eq!(peers("[lints]\n", ROOT), ["benches/peers/Cargo.toml:1"]);
    }

    fn glue(source: &str) -> Vec<String> {
        Repo::fixture(Vec::new(), &[("transports/monoio/src/a.rs", source)]).flagged(safety_is_argued)
    }

    #[test]
    fn an_argued_use_passes() {
        let source = "\
fn read() {
    // SAFETY: the kernel has filled `n` bytes,
    // which the completion says.
    let buffer = unsafe { buffer.set_init(n) };
    let text = \"unsafe {}\";
}
// SAFETY: the type is a number.
#[cfg(unix)]
unsafe impl Send for A {}
/// # Safety
///
/// `n` is in bounds.
unsafe fn raw(n: usize) {}
";
        assert_eq!(glue(source), [""; 0]);
    }

    #[test]
    fn a_bare_use_is_flagged() {
        let source = "\
// SAFETY: this one is of the function below.
fn read() {
    unsafe { a() }
    pin! { unsafe { b() } }
    // SAFETY: of c alone.
    unsafe { c() }
    unsafe { d() }
    // An unsafe thing.
    unsafe { e() }
}
unsafe impl Send for A {}
";
        let expected = [3, 4, 7, 9, 11].map(|line| format!("transports/monoio/src/a.rs:{line}"));
        assert_eq!(glue(source), expected);
    }
}
