//! TLS over the io_uring transports.
//!
//! The tests are a package of their own, so that plain `cargo test`, which excludes those
//! transports, does not build them.
