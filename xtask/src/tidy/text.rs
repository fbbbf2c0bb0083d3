//! What must not be in any text: the machine it was written on, and blanks that only a diff shows.

use super::repo::{Repo, Violation};

/// Folders of one machine. Written in halves, so that this file does not flag itself.
const MACHINE_FOLDERS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
];

/// No text file names an absolute path of a machine: it works for nobody else.
pub(super) fn names_no_machine(repo: &Repo) -> Vec<Violation> {
    in_lines(repo.texts(), |line| {
        let folder = MACHINE_FOLDERS.iter().find(|folder| has_absolute(line, folder))?;
        Some(format!(
            "an absolute path in `{folder}`; write it relative to the repository"
        ))
    })
}

/// No trailing blanks in code, manifests and documents, and no tab in code, where a reader takes it for spaces.
pub(super) fn is_clean(repo: &Repo) -> Vec<Violation> {
    let written = |path: &str| [".rs", ".toml", ".md"].iter().any(|end| path.ends_with(end));
    let mut violations = in_lines(repo.texts().filter(|(path, _)| written(path)), |line| {
        (line != line.trim_end()).then(|| "trailing blanks; remove them".to_owned())
    });
    violations.extend(in_lines(repo.sources(), |line| {
        line.contains('\t')
            .then(|| r"a tab; write spaces, or `\t` in a literal".to_owned())
    }));
    violations
}

fn in_lines<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    fault: impl Fn(&str) -> Option<String>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in files {
        for (number, line) in (1..).zip(text.lines()) {
            violations.extend(fault(line).map(|message| Violation::new(path, number, message)));
        }
    }
    violations
}

/// Whether `folder` stands at the start of a path: not inside a longer one, nor in a web address or behind a variable.
fn has_absolute(line: &str, folder: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-~}*)".contains(c);
    line.match_indices(folder)
        .any(|(at, _)| !line[..at].ends_with(continues))
}

#[cfg(test)]
mod tests {
    use super::{is_clean, names_no_machine};
    use crate::tidy::repo::Repo;

    #[test]
    fn a_path_of_a_machine_is_flagged_in_any_text() {
        let home = concat!("/ho", "me/");
        for (path, line) in [
            ("README.md", format!("see {home}me/notes")),
            ("benches/results.json", format!("{{\"path\":\"{home}x\"}}")),
            ("src/lib.rs", format!("include_str!(\"{home}x\")")),
            ("a.toml", format!("url = 'file://{home}x'")),
        ] {
            let repo = Repo::fixture(Vec::new(), &[(path, &format!("first\n{line}\n"))]);
            assert_eq!(repo.flagged(names_no_machine), [format!("{path}:2")], "{line}");
        }
    }

    #[test]
    fn a_path_that_is_not_absolute_passes() {
        let home = concat!("/ho", "me/");
        for before in ["https://example.com", "..", "target", "$DIR", "${DIR}", "~"] {
            let repo = Repo::fixture(Vec::new(), &[("README.md", &format!("{before}{home}x\n"))]);
            assert_eq!(repo.flagged(names_no_machine), [""; 0], "{before}");
        }
    }

    #[test]
    fn blanks_at_the_end_and_tabs_are_flagged() {
        let flagged = |path, text| Repo::fixture(Vec::new(), &[(path, text)]).flagged(is_clean);
        assert_eq!(
            flagged("src/lib.rs", "a\nb \n\tc\n"),
            ["src/lib.rs:2", "src/lib.rs:3"]
        );
        assert_eq!(flagged("a.md", "a \n\tb\n"), ["a.md:1"]);
        assert_eq!(flagged("corpus/request.http", "GET / HTTP/1.1 \n\tb\n"), [""; 0]);
    }
}
