//! TLS over the io_uring transports.
//!
//! The tests are a package of their own so that `cargo test` alone, which leaves those transports
//! out, doesn't build them.
