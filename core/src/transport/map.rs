//! Transports around others: [`MapConnection`] and [`MapHandshake`] forward all that their function
//! does not change.
use super::{AcceptErrorKind, Connected, Connecting, Endpoint, Listener, Transport};
use crate::{
    error::Result,
    runtime::{RuntimeOptions, Worker, Workers},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The function of a [`MapConnection`] or a [`MapHandshake`].
///
/// Every closure of one parameter is such a function. Implement it for a type of your own if the
/// wrapped transport needs a name:
///
/// ```
/// use anyport_core::{Connection, transport::{Intercept, Intercepted, MapConnection, MapFn}};
///
/// #[derive(Clone)]
/// struct Traced;
///
/// impl<C: Connection> Intercept<C> for Traced { /* what it changes */ }
///
/// impl<C: Connection> MapFn<C> for Traced {
///     type Output = Intercepted<C, Self>;
///
///     fn map(&self, inner: C) -> Self::Output {
///         Intercepted::new(inner, self.clone())
///     }
/// }
///
/// type TracedTransport<T> = MapConnection<T, Traced>;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot map a `{A}`",
    label = "neither a closure with this parameter nor a `MapFn` for it",
    note = "implement it for every connection: `impl<C: Connection> MapFn<C> for ..`"
)]
pub trait MapFn<A> {
    /// The result of the function.
    type Output;

    /// Maps a connection or a handshake. It runs on the connection's worker.
    fn map(&self, inner: A) -> Self::Output;
}

#[diagnostic::do_not_recommend]
impl<A, B, F: Fn(A) -> B> MapFn<A> for F {
    type Output = B;

    fn map(&self, inner: A) -> B {
        self(inner)
    }
}

/// A transport whose handshakes are mapped: [`Transport::map_handshake`].
#[derive(Clone)]
pub struct MapHandshake<T, F> {
    inner: T,
    map: F,
}

impl<T, F> MapHandshake<T, F>
where
    T: Transport,
    F: MapFn<<T::Listener as Listener>::Handshake>,
{
    /// Maps the handshakes of `inner`. The function may be a type of your own.
    pub fn new(inner: T, map: F) -> Self {
        Self { inner, map }
    }
}

#[diagnostic::do_not_recommend]
impl<T, F, H, C> Transport for MapHandshake<T, F>
where
    T: Transport,
    F: MapFn<<T::Listener as Listener>::Handshake, Output = H> + Clone + Send + 'static,
    H: Future<Output = io::Result<C>> + 'static,
    C: Connected,
{
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = MapHandshakeListener<T::Listener, F>;

    fn workers(&self) -> Workers {
        self.inner.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.inner.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.inner.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.inner.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        Ok(MapHandshakeListener {
            inner: self.inner.listen(socket, worker)?,
            map: self.map.clone(),
        })
    }
}

/// The listener of a [`MapHandshake`].
pub struct MapHandshakeListener<L, F> {
    inner: L,
    map: F,
}

// Nothing is pinned in place.
impl<L, F> Unpin for MapHandshakeListener<L, F> {}

impl<L, F, H, C> Listener for MapHandshakeListener<L, F>
where
    L: Listener,
    F: MapFn<L::Handshake, Output = H> + 'static,
    H: Future<Output = io::Result<C>> + 'static,
    C: Connected,
{
    type Connection = C;
    type Handshake = H;

    #[inline]
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connecting<H>>> {
        let map = &self.map;
        let accepted = self.inner.poll_accept(cx);
        accepted.map_ok(|connecting| connecting.map(|handshake| map.map(handshake)))
    }

    fn stop(&mut self) -> Duration {
        self.inner.stop()
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        self.inner.classify(error)
    }
}

/// A transport whose connections are mapped: [`Transport::map_connection`].
#[derive(Clone)]
pub struct MapConnection<T, F>(MapHandshake<T, ThenMap<F>>);

impl<T, F> MapConnection<T, F>
where
    T: Transport,
    F: MapFn<<T::Listener as Listener>::Connection>,
{
    /// Maps the connections of `inner`. The function may be a type of your own.
    pub fn new(inner: T, map: F) -> Self {
        let map = ThenMap(map);
        Self(MapHandshake { inner, map })
    }
}

#[diagnostic::do_not_recommend]
impl<T, F, C> Transport for MapConnection<T, F>
where
    T: Transport,
    F: MapFn<<T::Listener as Listener>::Connection, Output = C> + Clone + Send + 'static,
    C: Connected,
{
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = MapHandshakeListener<T::Listener, ThenMap<F>>;

    fn workers(&self) -> Workers {
        self.0.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.0.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.0.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.0.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        self.0.listen(socket, worker)
    }
}

/// Maps the connection that a handshake results in: the function of a [`MapConnection`].
#[derive(Clone)]
pub struct ThenMap<F>(F);

#[diagnostic::do_not_recommend]
impl<F: Clone, H> MapFn<H> for ThenMap<F> {
    type Output = MappedHandshake<H, F>;

    fn map(&self, inner: H) -> Self::Output {
        MappedHandshake {
            inner,
            map: self.0.clone(),
        }
    }
}

pin_project! {
    /// The handshake of a [`MapConnection`].
    pub struct MappedHandshake<H, F> {
        #[pin]
        inner: H,
        map: F,
    }
}

impl<H, F, C> Future for MappedHandshake<H, F>
where
    H: Future<Output = io::Result<C>>,
    F: MapFn<C>,
{
    type Output = io::Result<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        let inner = ready!(me.inner.poll(cx))?;
        Poll::Ready(Ok(me.map.map(inner)))
    }
}

impl<T: fmt::Debug, F> fmt::Debug for MapHandshake<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapHandshake").field(&self.inner).finish()
    }
}

impl<T: fmt::Debug, F> fmt::Debug for MapConnection<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapConnection").field(&self.0.inner).finish()
    }
}

impl<L: fmt::Debug, F> fmt::Debug for MapHandshakeListener<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapHandshakeListener")
            .field(&self.inner)
            .finish()
    }
}

impl<F> fmt::Debug for ThenMap<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThenMap")
    }
}

impl<H: fmt::Debug, F> fmt::Debug for MappedHandshake<H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MappedHandshake").field(&self.inner).finish()
    }
}
