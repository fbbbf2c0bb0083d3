//! What a server is held to: limits, timeouts, and how HTTP is spoken.
//!
//! It knows values, their defaults, and which of them contradict each other. It must not know who
//! heeds them.
mod http_options;
mod limits;
mod timeouts;

pub use http_options::{HttpOptions, HttpVersions};
pub use limits::Limits;
pub use timeouts::Timeouts;
