//! An extractor for axum handlers, which replaces axum's own.
use crate::{
    config::Config,
    error::Error,
    handshake::{Offer, Rejection},
    socket::WebSocket,
};
use anyport_core::runtime::spawn;
use axum_core::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use std::{fmt, future::Future};

/// The extractor of a WebSocket request for axum handlers. It replaces
/// `axum::extract::ws::WebSocketUpgrade`, and needs anyport's server.
///
/// It works over HTTP/1.1 by `get` or `any`, and over HTTP/2 by `any` or `connect`. It has no
/// `read_buffer_size` and no `write_buffer_size`, since an idle WebSocket has no buffers.
///
/// ```
/// # use anyport_ws::{WebSocketUpgrade, WebSocket};
/// # use axum::{response::Response, routing::any, Router};
/// async fn echo(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(|mut socket: WebSocket| async move {
///         while let Some(Ok(message)) = socket.recv().await {
///             if message.is_data() && socket.send(message).await.is_err() {
///                 return;
///             }
///         }
///     })
/// }
/// let router: Router = Router::new().route("/echo", any(echo));
/// ```
///
/// # Errors
///
/// 400, 405, 426 or 501 if the request is not a valid handshake. Under `axum::serve` itself, the
/// callback for [failures](Self::on_failed_upgrade) gets an error.
#[cfg(feature = "axum")] // For the badge on pages of other crates, which ignore the module's.
#[must_use = "answer with `on_upgrade`"]
pub struct WebSocketUpgrade<F = fn(Error)> {
    offer: Offer,
    config: Config,
    on_failure: F,
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Ok(Self {
            offer: Offer::of(
                &parts.method,
                parts.version,
                &parts.headers,
                &mut parts.extensions,
            )?,
            config: Config::default(),
            on_failure: |_| {},
        })
    }
}

impl<F: FnOnce(Error) + Send + 'static> WebSocketUpgrade<F> {
    /// Replaces all settings.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Does the same as [`Config::with_max_message`], which also sets the largest frame.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config = self.config.with_max_message(bytes);
        self
    }

    /// Does the same as [`Config::with_max_frame`].
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.config = self.config.with_max_frame(bytes);
        self
    }

    /// Does the same as [`Config::with_max_write_buffer`].
    pub fn max_write_buffer_size(mut self, bytes: usize) -> Self {
        self.config = self.config.with_max_write_buffer(bytes);
        self
    }

    /// Does the same as [`Config::with_protocols`].
    pub fn protocols<P: Into<String>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.config = self.config.with_protocols(protocols);
        self
    }

    /// The subprotocol that the response will select.
    #[must_use]
    pub fn selected_protocol(&self) -> Option<&str> {
        let protocols = &self.config.settings().protocols;
        let index = self.offer.choose(protocols)?;
        Some(&protocols[usize::from(index)])
    }

    /// Calls `callback` if the connection ends before it has become a WebSocket. Default: nothing
    /// happens.
    pub fn on_failed_upgrade<G: FnOnce(Error) + Send + 'static>(
        self,
        callback: G,
    ) -> WebSocketUpgrade<G> {
        WebSocketUpgrade {
            offer: self.offer,
            config: self.config,
            on_failure: callback,
        }
    }

    /// Returns the response. The callback then runs in the background, with the WebSocket.
    pub fn on_upgrade<C, T>(self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let on_failure = self.on_failure;
        let accepted = self.offer.answer(&self.config);
        let started = accepted.and_then(|(response, opening)| {
            let task = async {
                match opening.await {
                    Ok(socket) => callback(socket).await,
                    Err(error) => on_failure(error),
                }
            };
            spawn(task).map_err(|_| Rejection::no_runtime())?;
            Ok(response.map(Body::new))
        });
        started.unwrap_or_else(IntoResponse::into_response)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Self::into_response(self)
    }
}

impl<F> fmt::Debug for WebSocketUpgrade<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
