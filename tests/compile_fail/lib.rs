//! Common mistakes of beginners: programs in `cases/` that do not compile, each with the compiler's
//! output.
//!
//! They are a package of their own, because the messages hold for one compiler only. CI runs them;
//! `cargo test` does not.
