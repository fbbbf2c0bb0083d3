//! The first mistakes of a beginner: programs that do not compile, in `cases/`, each with what the
//! compiler says about it.
//!
//! They are a package of their own because the messages hold for one compiler only. CI runs them;
//! `cargo test` does not.
