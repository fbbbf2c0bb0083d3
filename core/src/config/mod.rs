//! The configuration of a server: limits, timeouts and HTTP options.
//!
//! This layer has values, their defaults, and the check that rejects contradictions. It must not
//! depend on the code that enforces the values.
mod http_options;
mod limits;
mod timeouts;

pub use http_options::{HttpOptions, HttpVersions};
pub use limits::Limits;
pub use timeouts::Timeouts;
