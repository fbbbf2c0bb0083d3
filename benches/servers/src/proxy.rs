//! A proxy, which forwards as the program of `docs/reverse-proxy.md` does.

use anyhow::Context as _;
use anyport::{
    Body, ConnInfo, HttpOptions, Request, Response, Server, Tcp,
    client::{
        Client, Fixed, ResponseBody,
        proxy::{self, Forwarded, Rejection, Target},
    },
    http::StatusCode,
    serve_with, service_fn,
    transport::tcp::TcpConnector,
};
use std::{net::SocketAddr, time::Duration};

type AppClient = Client<Fixed<TcpConnector>>;

/// How long the upstream may take to begin a response: the default of nginx.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that forwards each request to the upstream, and names the client in `Forwarded`.
pub(crate) fn server(listen: SocketAddr, upstream: Option<SocketAddr>) -> anyhow::Result<Server> {
    let upstream = upstream.context("a proxy needs `--upstream`")?;
    let target: Target = format!("http://{upstream}").parse()?;
    let client = Client::builder(Fixed::new(TcpConnector::new(), upstream));
    let client: AppClient = client.head_timeout(HEAD_TIMEOUT).build();
    let app = service_fn(move |request| forward(client.clone(), target.clone(), request));
    let http = HttpOptions::default().with_conn_info();
    let http = http.with_error_status(|error| {
        let rejection = error.downcast_ref::<Rejection>();
        rejection.map_or(StatusCode::BAD_GATEWAY, Rejection::status)
    });
    Ok(serve_with(Tcp::bind(listen), app).http(http))
}

async fn forward(
    client: AppClient,
    target: Target,
    mut request: Request<Body>,
) -> Result<Response<ResponseBody>, Rejection> {
    proxy::prepare_request(&mut request, &[])?;
    let info = request.extensions().get::<ConnInfo>();
    if let Some(forwarded) = info.map(|info| Forwarded::of(info, &request)) {
        forwarded.replace(request.headers_mut());
    }
    target.set_on(&mut request);
    let mut response = client.send(request).await?;
    proxy::prepare_response(&mut response, None)?;
    Ok(response)
}
