//! Protocols of your own, and HTTP over connections that are not byte streams.
//!
//! A [`Protocol`] gets each connection of a transport after its handshake, as an [`Accepted`] with
//! a [`ConnContext`]. [`serve_protocol_with`] serves a protocol of your own.
//! [`serve_with`](crate::serve_with) serves [`Http`], and
//! [`serve_raw_with`](crate::serve_raw_with) serves [`Raw`], the protocol of an async function.
//!
//! A connection that is not a byte stream, such as QUIC's, implements [`HttpConnection`] and hands
//! its requests to the app by [`Requests`].
#[cfg(any(feature = "http1", feature = "http2"))]
pub use crate::http::Upgraded;
pub use crate::{
    config::HttpVersions,
    engine::{Accepted, ConnContext, Protocol, Raw},
    http::{Http, HttpConnection, Requests, ResponseTask},
    server::serve_protocol_with,
};
