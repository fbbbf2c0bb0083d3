//! hickory-resolver, which asks name servers itself.
use super::{Answer, Resolve};
use futures_core::Stream;
use futures_util::stream;
use hickory_resolver::{
    TokioResolver,
    lookup::Lookup,
    net::NetError,
    proto::rr::{RData, Record},
};
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::runtime::Handle;

/// [hickory-resolver](https://docs.rs/hickory-resolver) as a resolver: it asks name servers itself,
/// without a thread for each lookup, and caches their answers.
///
/// It needs tokio. Its sockets and tasks belong to the runtime in which this value was made, and
/// lookups work as long as that runtime runs. They work on every thread and on every runtime. So on
/// monoio and glommio, make it in a handler or in `per_worker`, with anyport's feature `tokio`; or
/// in the tokio that starts the server.
#[derive(Clone)]
pub struct HickoryResolver {
    resolver: TokioResolver,
    tokio: Handle,
}

impl HickoryResolver {
    /// Asks the name servers of the system's configuration, such as `/etc/resolv.conf`.
    ///
    /// # Errors
    ///
    /// The configuration cannot be read, or the current thread is not inside tokio.
    pub fn from_system() -> io::Result<Self> {
        let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        Self::new(resolver.map_err(io::Error::other)?)
    }

    /// Uses a resolver with options and name servers of your own. Its `ip_strategy` has no effect,
    /// because each family is looked up on its own.
    ///
    /// # Errors
    ///
    /// The current thread is not inside tokio.
    pub fn new(resolver: TokioResolver) -> io::Result<Self> {
        let tokio = Handle::try_current().map_err(|_| {
            let what = "hickory-resolver needs tokio, and this thread is not inside one";
            io::Error::new(io::ErrorKind::Unsupported, what)
        })?;
        Ok(Self { resolver, tokio })
    }
}

impl Resolve for HickoryResolver {
    type Answers = HickoryAnswers;

    fn resolve(&self, host: &str) -> HickoryAnswers {
        let (resolver, name) = (self.resolver.clone(), host.to_owned());
        let six = async move {
            let found = resolver.ipv6_lookup(name).await;
            Answer::Aaaa(addresses(found, |record| match &record.data {
                RData::AAAA(address) => Some(address.0),
                _ => None,
            }))
        };
        let (resolver, name) = (self.resolver.clone(), host.to_owned());
        let four = async move {
            let found = resolver.ipv4_lookup(name).await;
            Answer::A(addresses(found, |record| match &record.data {
                RData::A(address) => Some(address.0),
                _ => None,
            }))
        };
        HickoryAnswers {
            answers: Box::pin(stream::select(stream::once(six), stream::once(four))),
            tokio: self.tokio.clone(),
        }
    }
}

fn addresses<A>(
    found: Result<Lookup, NetError>,
    address: impl Fn(&Record) -> Option<A>,
) -> io::Result<Vec<A>> {
    match found {
        Ok(lookup) => Ok(lookup.answers().iter().filter_map(address).collect()),
        Err(error) if error.is_nx_domain() => {
            Err(io::Error::new(io::ErrorKind::NotFound, "no such host"))
        }
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(io::Error::other(error)),
    }
}

impl fmt::Debug for HickoryResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver").finish_non_exhaustive()
    }
}

/// The answers of a [`HickoryResolver`].
pub struct HickoryAnswers {
    answers: Pin<Box<dyn Stream<Item = Answer> + Send>>,
    tokio: Handle,
}

impl Stream for HickoryAnswers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        let this = &mut *self;
        let _entered = this.tokio.enter();
        this.answers.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for HickoryAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryAnswers").finish_non_exhaustive()
    }
}
