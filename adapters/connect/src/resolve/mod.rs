//! The contract of resolvers, and the resolvers.
#[cfg(feature = "hickory")]
mod hickory;
mod hosts;
mod system;

#[cfg(feature = "hickory")]
pub use hickory::{HickoryAnswers, HickoryResolver};
pub use hosts::{HostAnswers, Hosts};
pub use system::{SystemAnswers, SystemResolver};

use futures_core::Stream;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Looks up the addresses of a host.
///
/// # Contract
///
/// - The stream yields an [`Answer`] as soon as it is known, one for each record type, in any
///   order. More than one of the same type adds addresses. It ends when no more will come.
/// - It never blocks the thread that polls it, and has no deadline of its own: its caller drops it.
/// - Dropping it ends the lookup, or detaches what cannot be ended.
///
/// The host is a valid name, in ASCII. It is never an IP address or `localhost`.
///
/// The caller does not trust the answers: addresses may be wrong, repeated, or too many.
///
/// # Examples
///
/// ```
/// use anyport_connect::{Answer, Resolve};
/// use futures_util::stream;
/// use std::net::Ipv6Addr;
///
/// /// Looks nothing up.
/// #[derive(Clone)]
/// struct Documentation;
///
/// impl Resolve for Documentation {
///     type Answers = stream::Iter<std::array::IntoIter<Answer, 2>>;
///
///     fn resolve(&self, _host: &str) -> Self::Answers {
///         let addresses = vec![Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)];
///         stream::iter([Answer::Aaaa(Ok(addresses)), Answer::A(Ok(Vec::new()))])
///     }
/// }
/// ```
pub trait Resolve: Clone + 'static {
    /// The answers, as they arrive.
    type Answers: Stream<Item = Answer> + 'static;

    /// Begins to look up a host.
    fn resolve(&self, host: &str) -> Self::Answers;
}

/// The answer to the query for one record type.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The IPv6 addresses of the host, or why there are none.
    Aaaa(io::Result<Vec<Ipv6Addr>>),
    /// The IPv4 addresses of the host, or why there are none.
    A(io::Result<Vec<Ipv4Addr>>),
}
