//! The first mistakes of a beginner, and the whole of what the compiler says to each.
//!
//! The expected messages are those of the toolchain that CI uses, rustc 1.95: parts of them are the compiler's own words, so another
//! one may differ. Read the difference as a beginner would; if it's no worse, accept it with `TRYBUILD=overwrite cargo test --test compile_fail`.

#[test]
#[cfg_attr(
    not(all(feature = "tcp", feature = "http1", feature = "http2")),
    ignore = "the messages are those with the default features"
)]
fn first_mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

/// Apart from the others, because the compiler lists the transports that it knows.
#[test]
#[cfg_attr(
    not(all(
        feature = "tcp",
        feature = "unix",
        feature = "memory",
        feature = "monoio",
        feature = "glommio",
        feature = "tls",
        feature = "axum"
    )),
    ignore = "the message lists the transports: run it with --all-features"
)]
fn what_is_no_transport_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/all_transports/*.rs");
}
