//! The handshake over HTTP/1.1 (RFC 6455 4.1).
use super::{Accepted, Deadline, Drive, Failure, MAX_HEAD, refused};
use anyport_core::Connection;
use http::{Request, Response, StatusCode};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Builder},
};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

pub(super) async fn exchange<C: Connection>(
    connection: C,
    request: Request<String>,
    deadline: &mut Deadline,
) -> Result<Accepted, Failure> {
    let mut builder = Builder::new();
    builder.max_header_size(MAX_HEAD).max_buf_size(MAX_HEAD);
    let (mut sender, connection) = builder.handshake(connection).await?;
    let mut connection = Driven {
        connection,
        end: None,
    };
    let answer = async {
        let mut response = pin!(sender.send_request(request));
        poll_fn(|cx| connection.poll_response(response.as_mut(), cx)).await
    };
    let response = deadline.limit(answer).await??;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(response, &mut connection, deadline).await);
    }
    let ended = poll_fn(|cx| connection.poll_end(cx));
    deadline.limit(ended).await??;
    let parts = connection.connection.into_parts();
    Ok(Accepted {
        connection: Box::new(parts.io),
        unread: parts.read_buf,
        response: response.map(drop),
    })
}

/// Hyper's connection, which ends at an upgrade.
struct Driven<C: Connection> {
    connection: http1::Connection<C, String>,
    end: Option<hyper::Result<()>>,
}

impl<C: Connection> Drive for Driven<C> {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.end.is_none()
            && let Poll::Ready(end) = self.connection.poll_without_shutdown(cx)
        {
            self.end = Some(end);
        }
    }
}

impl<C: Connection> Driven<C> {
    /// The response. If the connection fails before it, both report an error, and that of the
    /// connection is more precise.
    fn poll_response(
        &mut self,
        response: Pin<&mut impl Future<Output = hyper::Result<Response<Incoming>>>>,
        cx: &mut Context<'_>,
    ) -> Poll<hyper::Result<Response<Incoming>>> {
        self.drive(cx);
        let response = ready!(response.poll(cx));
        match (response, self.end.take()) {
            (Err(_), Some(Err(error))) => Poll::Ready(Err(error)),
            (response, end) => {
                self.end = end;
                Poll::Ready(response)
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.drive(cx);
        self.end.take().map_or(Poll::Pending, Poll::Ready)
    }
}
