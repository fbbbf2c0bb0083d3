//! The program, and what it says.

use crate::fixture;
use libtest_mimic::Trial;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// `cargo xtask bench` with these arguments.
pub(crate) fn bench<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("bench")
        .args(arguments)
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The page of the fixture's run, drawn once.
pub(crate) fn page() -> &'static str {
    static PAGE: OnceLock<String> = OnceLock::new();
    PAGE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fixture::write(folder.path());
        let said = bench(["report".as_ref(), folder.path().as_os_str()]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let path = folder.path().join("report.html");
        let summary = folder.path().join("summary.md");
        assert_eq!(said.out, format!("{}\n{}\n", path.display(), summary.display()));
        assert!(fs::read_to_string(summary).unwrap().contains("| tcp-per-core"));
        fs::read_to_string(path).unwrap()
    })
}

pub(crate) fn trial(name: impl Into<String>, case: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        case();
        Ok(())
    })
}

/// The trials of these functions, by their names.
#[macro_export]
macro_rules! trials {
    ($($case:ident),* $(,)?) => {
        vec![$($crate::xtask::trial(stringify!($case), $case)),*]
    };
}
