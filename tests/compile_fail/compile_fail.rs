//! The complete compiler output for each common mistake.
//!
//! The expected messages are those of the toolchain in CI, rustc 1.95. Another compiler may print
//! others. Read a difference as a beginner would. If it is no worse, accept it with
//! `TRYBUILD=overwrite cargo test --package anyport-compile-fail`.

#[test]
fn first_mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
