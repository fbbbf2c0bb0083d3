//! An HTTP/2 client with prior knowledge, built on the h2 crate, so that tests see streams, windows
//! and errors.
use crate::{client::Io, harness::watch::waiting};
use bytes::{Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
    ext::Protocol,
};
use http::{Method, Request, StatusCode};
use tokio::task::JoinHandle;

/// One HTTP/2 connection.
pub(crate) struct H2 {
    pub(crate) requests: SendRequest<Bytes>,
    /// Completes when the connection ends.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct H2Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl H2 {
    pub(crate) async fn new(io: Io) -> Self {
        let handshake = h2::client::handshake(io).await;
        let (requests, connection) = handshake.expect("the HTTP/2 preface is sent");
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> H2Response {
        self.try_get(path)
            .await
            .expect("expected a complete response")
    }

    pub(crate) async fn try_get(&mut self, path: &str) -> Result<H2Response, h2::Error> {
        let (response, _) = self.begin(request(path), true).await?;
        whole(response).await
    }

    /// Sends the head of a request; `end` means that it has no body.
    pub(crate) async fn begin(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut ready = self.requests.clone().ready().await?;
        ready.send_request(request, end)
    }

    /// Opens an extended CONNECT (RFC 8441) and returns both directions of the tunnel.
    pub(crate) async fn connect(
        &mut self,
        path: &str,
    ) -> Result<(SendStream<Bytes>, RecvStream), h2::Error> {
        // The server's SETTINGS must have arrived first.
        assert_eq!(self.get("/").await.status, StatusCode::OK);
        assert!(
            self.requests.is_extended_connect_protocol_enabled(),
            "RFC 8441 3"
        );
        let mut request = request(path);
        *request.method_mut() = Method::CONNECT;
        request
            .extensions_mut()
            .insert(Protocol::from_static("echo"));
        let (response, send) = self.begin(request, false).await?;
        let response = response.await?;
        assert_eq!(response.status(), StatusCode::OK);
        Ok((send, response.into_body()))
    }

    /// Asserts that the server ends the connection.
    pub(crate) async fn assert_closed(self) {
        let _wait = waiting("the end of the HTTP/2 connection by the server");
        // While a request handle exists, the client does not end the connection itself.
        let _ends = self
            .connection
            .await
            .expect("the client task must not panic");
        drop(self.requests);
    }
}

/// A GET, which the test may change.
pub(crate) fn request(path: &str) -> Request<()> {
    let request = Request::get(format!("http://test{path}")).body(());
    request.expect("a valid path")
}

/// Reads the whole response.
pub(crate) async fn whole(response: ResponseFuture) -> Result<H2Response, h2::Error> {
    let _wait = waiting("a whole response over HTTP/2");
    let response = response.await?;
    let status = response.status();
    let mut stream = response.into_body();
    let mut body = BytesMut::new();
    while let Some(data) = receive(&mut stream).await? {
        body.extend_from_slice(&data);
    }
    Ok(H2Response {
        status,
        body: body.freeze(),
    })
}

/// The next bytes of a body. The window is opened by their length. An end may come with an empty
/// frame.
pub(crate) async fn receive(stream: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let _wait = waiting("the next bytes of a body over HTTP/2");
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        if !data.is_empty() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Sends a body as the window allows.
pub(crate) async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut body: Bytes,
    end: bool,
) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(capacity) = capacity else {
            return Err(h2::Reason::CANCEL.into());
        };
        let piece = body.split_to(capacity?.min(body.len()));
        stream.send_data(piece, end && body.is_empty())?;
    }
    Ok(())
}
