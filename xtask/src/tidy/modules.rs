//! A stranger finds the way by the files: each says why it exists, is named for it, and holds one idea.

use super::repo::{Repo, Violation};

/// Beyond this a file holds two ideas.
const MAX_LINES: usize = 450;

/// Names that say nothing: whatever does not fit elsewhere ends up there.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// Every module and every example starts with a line of documentation.
pub(super) fn say_why_they_exist(repo: &Repo) -> Vec<Violation> {
    repo.sources()
        .filter(|(path, _)| (has_folder(path, "src") || path.starts_with("examples/")) && !is_test(path))
        .filter(|(_, text)| !is_documentation(text.lines().next().unwrap_or_default()))
        .map(|(path, _)| Violation::new(path, 1, "starts without a `//!` line; say why the file exists"))
        .collect()
}

/// No file and no folder of Rust code has a name that says nothing.
pub(super) fn are_named_for_what_they_hold(repo: &Repo) -> Vec<Violation> {
    repo.sources()
        .filter_map(|(path, _)| {
            let stems = path.strip_suffix(".rs").unwrap_or(path).split('/');
            let name = stems.into_iter().find(|stem| EMPTY_NAMES.contains(stem))?;
            Some(Violation::new(
                path,
                1,
                format!("`{name}` says nothing; name it for what it holds"),
            ))
        })
        .collect()
}

/// No file has more than [`MAX_LINES`] lines, but for tests.
pub(super) fn hold_one_idea(repo: &Repo) -> Vec<Violation> {
    repo.sources()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|&(_, lines)| lines > MAX_LINES)
        .map(|(path, lines)| {
            let message =
                format!("{lines} lines, more than {MAX_LINES}; split it where the second idea starts");
            Violation::new(path, MAX_LINES + 1, message)
        })
        .collect()
}

/// `//! text`, or the text of a Markdown file.
fn is_documentation(line: &str) -> bool {
    line.strip_prefix("//! ")
        .is_some_and(|text| !text.trim().is_empty())
        || line.starts_with("#![doc = include_str!(")
}

fn is_test(path: &str) -> bool {
    has_folder(path, "tests") || path.ends_with("/tests.rs")
}

fn has_folder(path: &str, folder: &str) -> bool {
    let (folders, _) = path.rsplit_once('/').unwrap_or_default();
    folders.split('/').any(|name| name == folder)
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINES, are_named_for_what_they_hold, hold_one_idea, say_why_they_exist};
    use crate::tidy::repo::Repo;

    fn with_text(path: &str, text: &str) -> Repo {
        Repo::fixture(Vec::new(), &[(path, text)])
    }

    #[test]
    fn a_module_without_documentation_is_flagged() {
        for path in [
            "src/lib.rs",
            "core/src/http/mod.rs",
            "xtask/src/main.rs",
            "examples/hello.rs",
        ] {
            for text in [
                "",
                "use std::io;\n//! Late.\n",
                "//!\n",
                "//! \n",
                "// Plain.\n",
                "/// Of an item.\n",
            ] {
                assert_eq!(
                    with_text(path, text).flagged(say_why_they_exist),
                    [format!("{path}:1")],
                    "{text:?}"
                );
            }
            for text in ["//! Why.\n", "#![doc = include_str!(\"../README.md\")]\n"] {
                assert_eq!(
                    with_text(path, text).flagged(say_why_they_exist),
                    [""; 0],
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn tests_need_no_module_documentation() {
        for path in [
            "core/tests/drain.rs",
            "core/tests/ui/src/a.rs",
            "core/src/http/tests.rs",
        ] {
            assert_eq!(with_text(path, "").flagged(say_why_they_exist), [""; 0], "{path}");
        }
    }

    #[test]
    fn an_empty_name_is_flagged() {
        for path in [
            "core/src/utils.rs",
            "core/tests/common/mod.rs",
            "src/misc/a.rs",
            "a/helpers.rs",
        ] {
            assert_eq!(
                with_text(path, "").flagged(are_named_for_what_they_hold),
                [format!("{path}:1")]
            );
        }
        for path in ["core/src/util_of_note.rs", "docs/common/a.md"] {
            assert_eq!(
                with_text(path, "").flagged(are_named_for_what_they_hold),
                [""; 0],
                "{path}"
            );
        }
    }

    #[test]
    fn a_long_file_is_flagged_unless_it_is_a_test() {
        let (allowed, long) = ("x\n".repeat(MAX_LINES), "x\n".repeat(MAX_LINES + 1));
        assert_eq!(
            with_text("core/src/a.rs", &allowed).flagged(hold_one_idea),
            [""; 0]
        );
        assert_eq!(
            with_text("core/src/a.rs", &long).flagged(hold_one_idea),
            ["core/src/a.rs:451"]
        );
        assert_eq!(
            with_text("core/tests/a.rs", &long).flagged(hold_one_idea),
            [""; 0]
        );
    }
}
