//! Micro benchmarks for daily use. Their figures are of this machine and this moment: compare two runs on the same one, and don't quote them.
//!
//! | bench | times |
//! |---|---|
//! | `request` | one request on a kept-alive TCP connection, and one on a new connection |
