#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use anyport_core::*;

/// TCP on tokio: work stealing, or one runtime per core.
#[cfg(feature = "tcp")]
pub use anyport_tcp::{self as tcp, Tcp, listen};

/// The HTTP types that apps speak.
pub use ::http::{Request, Response, StatusCode, header};
/// Gives a connection tokio's `AsyncRead` and `AsyncWrite`, and a tokio stream what a connection needs.
#[cfg(feature = "tcp")]
pub use hyper_util::rt::TokioIo;
/// A tower service of an async function.
pub use tower::service_fn;
