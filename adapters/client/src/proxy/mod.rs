//! What a proxy does to the messages that it forwards: the rules for hop-by-hop fields, for
//! upgrades, and the fields that name the client.
//!
//! A reverse proxy is an app that sends its requests on by the client. The rules are the same over
//! every transport and both versions of HTTP:
//!
//! 1. [`prepare_request`] makes the client's request one that may be sent on.
//! 2. [`Forwarded`] tells the target who the client is.
//! 3. [`Target`] says where the request goes, and the client sends it.
//! 4. [`prepare_response`] makes the target's response one that may be returned.
//! 5. After an upgrade, bytes are copied between both ends of the [`Tunnel`].
//!
//! A [`Rejection`] is the response if one of these steps fails.
//!
//! The end of a message is never copied from its fields: hyper and the server frame each body anew.
mod content_length;
mod forwarded;
mod hop_by_hop;
mod rejection;
mod request;
mod response;
mod target;
mod upgrade;

pub use forwarded::{Forwarded, Node};
pub use hop_by_hop::remove_hop_by_hop;
pub use rejection::Rejection;
pub use request::prepare_request;
pub use response::prepare_response;
pub use target::{InvalidTarget, Target};
pub use upgrade::{Tunnel, Upgrade};
