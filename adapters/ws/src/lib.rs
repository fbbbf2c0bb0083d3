//! WebSockets.
mod message;
mod protocol;
pub use message::{CloseFrame, Message, Utf8Bytes, close_code};
