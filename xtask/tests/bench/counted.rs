//! What's counted: as often as that's wanted. And what `bench --check` can't count never looks like something that holds.

use crate::bench::{Bench, Outcome, XTASK};
use crate::stand_in::WITHOUT_IO_URING;
use libtest_mimic::Trial;
use serde_json::Value;
use std::env;
use std::process::{Command, Stdio};

pub(crate) fn all() -> Vec<Trial> {
    let runs = |words: &str| {
        let mut words = words.split(' ');
        let tried = Command::new(words.next().unwrap()).args(words).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let there = runs("valgrind --version") && runs("perf stat -e raw_syscalls:sys_enter true");
    vec![
        Trial::test(
            "a_missing_tool_ends_a_check_and_is_named_with_its_package",
            || {
                a_missing_tool_ends_a_check_and_is_named_with_its_package();
                Ok(())
            },
        ),
        Trial::test("a_check_in_which_io_uring_is_refused_says_so", || {
            a_check_in_which_io_uring_is_refused_says_so();
            Ok(())
        })
        .with_ignored_flag(!there),
        Trial::test("what_is_counted_twice_has_a_span", || {
            what_is_counted_twice_has_a_span();
            Ok(())
        })
        .with_ignored_flag(!there),
    ]
}

fn check(xtask: &mut Command, backend: &str) -> Outcome {
    Bench::start_as(xtask, Stdio::piped(), "", &["--check", "--backend", backend]).finish()
}

fn a_missing_tool_ends_a_check_and_is_named_with_its_package() {
    let nothing = tempfile::tempdir().unwrap();
    let outcome = check(Command::new(XTASK).env("PATH", nothing.path()), "tcp");
    assert_eq!((outcome.code, outcome.text.as_str()), (Some(1), ""));
    for package in ["valgrind", "linux-perf"] {
        let advice = format!("apt install {package}");
        assert!(outcome.said.contains(&advice), "{}", outcome.said);
    }
}

fn a_check_in_which_io_uring_is_refused_says_so() {
    let mut xtask = Command::new(env::current_exe().unwrap());
    let outcome = check(xtask.args([WITHOUT_IO_URING, XTASK]), "monoio,glommio");
    assert_eq!(outcome.code, Some(1), "{}", outcome.said);
    let end = outcome.text.trim().replace('\n', " ");
    assert!(
        end.starts_with("Nothing could be compared; ") && end.contains("NOT COMPARED: "),
        "{end}"
    );
    assert!(
        end.contains("of monoio, glommio, since io_uring is refused here (Operation not permitted"),
        "{end}"
    );
}

fn what_is_counted_twice_has_a_span() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().to_str().unwrap();
    let arguments = "--figure syscalls --repeats 2 --backend tcp --peers none --json --output";
    let arguments: Vec<&str> = arguments.split(' ').chain([output]).collect();
    let outcome = Bench::start_with("", &arguments).finish();
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    assert_eq!(outcome.rows.len(), 4);
    for row in outcome.rows {
        let number = |value: &Value| value.as_f64().unwrap();
        let runs: Vec<f64> = row["rounds"].as_array().unwrap().iter().map(number).collect();
        let [lowest, value, highest] =
            [&row["span"]["lowest"], &row["value"], &row["span"]["highest"]].map(number);
        assert_eq!(runs.len(), 2, "{row}");
        assert_eq!((lowest, highest), (runs[0].min(runs[1]), runs[0].max(runs[1])));
        assert!(lowest <= value && value <= highest, "{row}");
        // A stand-in takes a read and a write for each request, and finds the next one there now and then.
        assert!((1.5..3.0).contains(&value), "{row}");
    }
}
