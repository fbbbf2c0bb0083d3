//! The whole of what the compiler says about each first mistake.
//!
//! The expected messages are those of the toolchain that CI uses, rustc 1.95: parts of them are the
//! compiler's own words, so another one may differ. Read the difference as a beginner would. If it
//! is no worse, accept it with `TRYBUILD=overwrite cargo test --package anyport-compile-fail`.

#[test]
fn first_mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
