//! One whole response over HTTP/2: h2load looks at its status and its length, and nobody else at its bytes.

use super::Answer;
use crate::stream::{Connector, Stream};
use crate::{Patience, tls};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::Request;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Asks once, on a connection of its own: in the clear with prior knowledge, over TLS after ALPN. The workload is one over HTTP.
///
/// # Errors
///
/// When there's no whole response in time.
pub fn ask_over_http2(address: &Address, workload: Workload, patience: &Patience) -> anyhow::Result<Answer> {
    let mut stream = Connector::offering(tls::HTTP_2, address, patience)?.connect()?;
    stream.shake_hands()?;
    stream.set_nonblocking()?;
    let request = request(address, workload)?;
    let mut exchange = pin!(exchange(Polled(stream), request, workload.request_body().into()));
    // Without a reactor: it's looked at again and again, since one request is in no hurry.
    let mut context = Context::from_waker(Waker::noop());
    let answer = patience.poll(|| match exchange.as_mut().poll(&mut context) {
        Poll::Ready(answer) => answer.map(Some),
        Poll::Pending => Ok(None),
    })?;
    answer.with_context(|| format!("no response over HTTP/2 came for {:?}", patience.silence()))
}

fn request(address: &Address, workload: Workload) -> anyhow::Result<Request<()>> {
    let origin = match address {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Tls(address) => format!("https://{address}"),
        Address::Unix(_) => "http://localhost".to_owned(),
    };
    let method = match workload.request_body().len() {
        0 => "GET",
        _ => "POST",
    };
    let request = Request::builder().method(method);
    Ok(request.uri(origin + workload.path()).body(())?)
}

async fn exchange(stream: Polled, request: Request<()>, body: Bytes) -> anyhow::Result<Answer> {
    let (sender, connection) = client::handshake(stream).await.context("no HTTP/2 came")?;
    let mut connection = pin!(connection);
    let mut answer = pin!(ask(sender, request, body));
    poll_fn(|context| {
        let ended = connection.as_mut().poll(context);
        // It may have brought the rest of the answer before its end.
        match (answer.as_mut().poll(context), ended) {
            (Poll::Pending, Poll::Ready(ended)) => {
                let ended = ended.context("the connection broke over HTTP/2");
                let error = "the server closed the connection without a whole response over HTTP/2";
                Poll::Ready(ended.and_then(|()| anyhow::bail!(error)))
            }
            (answer, _) => answer,
        }
    })
    .await
}

async fn ask(sender: SendRequest<Bytes>, request: Request<()>, body: Bytes) -> anyhow::Result<Answer> {
    let unsent = "no request can be sent over HTTP/2";
    let mut sender = sender.ready().await.context(unsent)?;
    let (response, mut stream) = sender.send_request(request, body.is_empty()).context(unsent)?;
    if !body.is_empty() {
        stream.send_data(body, true).context(unsent)?;
    }
    let response = response.await.context("no response came over HTTP/2")?;
    let status = response.status().as_u16();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers = response.headers().iter();
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect();
    headers.sort();
    let mut stream = response.into_body();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.context("a body broke off over HTTP/2")?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// A nonblocking stream that nobody is woken up for.
struct Polled(Stream);

fn polled<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl AsyncRead for Polled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        polled(
            self.0
                .read(buffer.initialize_unfilled())
                .map(|read| buffer.advance(read)),
        )
    }
}

impl AsyncWrite for Polled {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        polled(self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        polled(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It's dropped then.
        Poll::Ready(Ok(()))
    }
}
