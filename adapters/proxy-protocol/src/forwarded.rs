//! The client behind proxies that forward HTTP requests: `Forwarded` and `X-Forwarded-For`.
use crate::Trusted;
use anyport_core::{ConnInfo, Result};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header::FORWARDED};
use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Puts the client of trusted proxies into each request's extensions, as a [`Forwarded`].
///
/// The layer reads only the field that you name. The proxy must set it, or append to it, on every
/// request. The field is read only if the connection's peer is trusted. The client is the last
/// address in it that is not trusted, since the client itself sent all earlier ones.
///
/// The layer needs the [`ConnInfo`] in each request:
/// [`HttpOptions::with_conn_info`](anyport_core::HttpOptions::with_conn_info).
///
/// # Errors
///
/// A request whose field is malformed gets a 400 response. A request without a `ConnInfo` gets a
/// 500 response.
///
/// ```
/// # use anyport_core::{Body, HttpOptions, Result};
/// # use anyport_memory::Memory;
/// # use anyport_proxy_protocol::{Forwarded, ForwardedLayer};
/// # use http::{Request, Response};
/// # use std::convert::Infallible;
/// # use tower::ServiceBuilder;
/// # fn f() -> Result<()> {
/// let app = tower::service_fn(|request: Request<Body>| async move {
///     let client = request.extensions().get::<Forwarded>().map(|forwarded| forwarded.client);
///     Ok::<_, Infallible>(Response::new(Body::from(format!("{client:?}"))))
/// });
/// let app = ServiceBuilder::new().layer(ForwardedLayer::forwarded(["10.0.0.0/8"])?).service(app);
/// let server = anyport_core::serve_with(Memory::new(), app)
///     .http(HttpOptions::default().with_conn_info());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ForwardedLayer {
    field: Field,
    trusted: Arc<Trusted>,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Forwarded,
    XForwardedFor,
}

/// The client behind trusted proxies. [`ForwardedLayer`] puts it into a request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// The client's address.
    pub client: IpAddr,
    /// The scheme that the client used, such as `https`, if the proxy says so. `X-Forwarded-For`
    /// has none.
    pub proto: Option<Box<str>>,
    /// The host that the client asked for, if the proxy says so. `X-Forwarded-For` has none.
    pub host: Option<Box<str>>,
}

impl ForwardedLayer {
    /// Reads the field `Forwarded` (RFC 7239) of requests from trusted peers.
    ///
    /// # Errors
    ///
    /// No peer is trusted, or an entry is not a network.
    pub fn forwarded(trusted: impl Into<Trusted>) -> Result<Self> {
        Self::new(Field::Forwarded, trusted.into())
    }

    /// Reads the field `X-Forwarded-For` of requests from trusted peers: addresses, with or without
    /// ports, separated by commas.
    ///
    /// # Errors
    ///
    /// No peer is trusted, or an entry is not a network.
    pub fn x_forwarded_for(trusted: impl Into<Trusted>) -> Result<Self> {
        Self::new(Field::XForwardedFor, trusted.into())
    }

    fn new(field: Field, trusted: Trusted) -> Result<Self> {
        trusted.check()?;
        let trusted = Arc::new(trusted);
        Ok(Self { field, trusted })
    }

    /// `None`: the peer is the client, or the proxies do not name the client.
    fn client(
        &self,
        info: &ConnInfo,
        headers: &HeaderMap,
    ) -> std::result::Result<Option<Forwarded>, Malformed> {
        if !self.trusted.connection(info) {
            return Ok(None);
        }
        let name = match self.field {
            Field::Forwarded => FORWARDED,
            Field::XForwardedFor => X_FORWARDED_FOR,
        };
        let mut nearest = None;
        // The nearest proxy added the last value.
        for value in headers.get_all(name).iter().rev() {
            let value = value.to_str().map_err(|_| Malformed)?;
            if matches!(self.field, Field::Forwarded) && !is_unambiguous(value) {
                return Err(Malformed);
            }
            for element in value.rsplit(',').map(str::trim) {
                // Lists may have empty elements (RFC 9110 5.6.1.2).
                if element.is_empty() {
                    continue;
                }
                let Some(hop) = self.hop(element)? else {
                    // The client is unknown to a trusted proxy, or hidden by it.
                    return Ok(None);
                };
                let is_client = !self.trusted.contains(hop.client);
                nearest = Some(hop);
                if is_client {
                    return Ok(nearest);
                }
            }
        }
        Ok(nearest)
    }

    /// Parses one element of the field. `None`: the element contains no address.
    fn hop(&self, element: &str) -> std::result::Result<Option<Forwarded>, Malformed> {
        match self.field {
            Field::Forwarded => {
                let mut nodes = rfc7239::parse(element);
                let node = nodes.next().ok_or(Malformed)?.map_err(|_| Malformed)?;
                let address = node.forwarded_for.as_ref().and_then(|node| node.ip());
                let text = |value: Option<&str>| value.map(|value| value.trim_matches('"').into());
                Ok(address.map(|&client| Forwarded {
                    client: client.to_canonical(),
                    proto: text(node.protocol),
                    host: text(node.host),
                }))
            }
            Field::XForwardedFor if element.eq_ignore_ascii_case("unknown") => Ok(None),
            Field::XForwardedFor => {
                let address = element
                    .parse::<IpAddr>()
                    .or_else(|_| element.parse::<SocketAddr>().map(|address| address.ip()))
                    .map_err(|_| Malformed)?;
                Ok(Some(Forwarded {
                    client: address.to_canonical(),
                    proto: None,
                    host: None,
                }))
            }
        }
    }
}

/// A trusted proxy's field is ambiguous.
#[derive(Debug)]
struct Malformed;

/// Whether every comma and semicolon is a separator. A client that sends half of a quoted string
/// could hide the element of the proxy. A proxy that quotes a client's text could repeat a
/// separator.
fn is_unambiguous(value: &str) -> bool {
    let mut is_quoted = false;
    for byte in value.bytes() {
        match byte {
            b'\\' => return false,
            b'"' => is_quoted = !is_quoted,
            b',' | b';' if is_quoted => return false,
            _ => {}
        }
    }
    !is_quoted
}

impl<S> Layer<S> for ForwardedLayer {
    type Service = ForwardedService<S>;

    fn layer(&self, service: S) -> ForwardedService<S> {
        ForwardedService {
            service,
            layer: self.clone(),
        }
    }
}

/// The service that [`ForwardedLayer`] makes.
#[derive(Clone, Debug)]
pub struct ForwardedService<S> {
    service: S,
    layer: ForwardedLayer,
}

impl<S, B, R> Service<Request<B>> for ForwardedService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ForwardedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let refused = match request.extensions().get::<ConnInfo>() {
            None => Some(StatusCode::INTERNAL_SERVER_ERROR),
            Some(info) => match self.layer.client(info, request.headers()) {
                Err(Malformed) => Some(StatusCode::BAD_REQUEST),
                Ok(None) => None,
                Ok(Some(forwarded)) => {
                    request.extensions_mut().insert(forwarded);
                    None
                }
            },
        };
        match refused {
            Some(status) => ForwardedFuture::Refused { status },
            None => ForwardedFuture::Served {
                future: self.service.call(request),
            },
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`ForwardedService`].
    #[project = ForwardedFutureProj]
    #[derive(Debug)]
    pub enum ForwardedFuture<F> {
        #[doc(hidden)]
        Served {
            #[pin]
            future: F,
        },
        #[doc(hidden)]
        Refused { status: StatusCode },
    }
}

impl<F, R, E> Future for ForwardedFuture<F>
where
    F: Future<Output = std::result::Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ForwardedFutureProj::Served { future } => future.poll(cx),
            ForwardedFutureProj::Refused { status } => {
                let mut response = Response::new(R::default());
                *response.status_mut() = *status;
                Poll::Ready(Ok(response))
            }
        }
    }
}

#[cfg(test)]
mod tests;
