//! The service that hyper calls: from a request on one connection to the [`Call`] that answers it.
use super::{
    Reply,
    call::{Call, CallState},
    detect,
    h1_unread::H1Unread,
    host,
    refusal::Refusal,
    request,
    request_context::{RequestContext, RequestFacts, UpgradeKind},
    timed_body::TimedBody,
    upgrade_answer::UpgradeAnswer,
    upgrade_offer,
    upload::Upload,
};
#[cfg(feature = "http2")]
use super::{h2_unread::Unread, tunnel::TunnelFacts};
use crate::{
    app::{Body, HttpService},
    engine::ConnState,
    error::BoxError,
    runtime::panics,
    transport::ConnInfo,
};
use bytes::Bytes;
use http::{Method, Request, Response, Version, header::EXPECT, request::Parts};
use http_body::Body as HttpBody;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use std::{convert::Infallible, fmt, sync::Arc};

/// The service of one connection, as hyper sees it.
pub struct ConnService<S> {
    service: S,
    info: ConnInfo,
    /// Whether each request gets the `ConnInfo` in its extensions.
    adds_conn_info: bool,
    state: Arc<ConnState>,
    version: detect::Version,
    /// Whether each request has a hook or a deadline.
    hooked: bool,
    /// HTTP/2: where unread request bodies go.
    #[cfg(feature = "http2")]
    unread: Option<Arc<Unread>>,
}

impl<S> ConnService<S> {
    pub(super) fn new(
        service: S,
        info: ConnInfo,
        state: Arc<ConnState>,
        version: detect::Version,
    ) -> Self {
        let config = state.config();
        let (hooked, adds_conn_info) = (config.has_request_hooks(), config.http.conn_info);
        Self {
            service,
            info,
            adds_conn_info,
            state,
            version,
            hooked,
            #[cfg(feature = "http2")]
            unread: (version == detect::Version::Http2).then(Unread::new),
        }
    }

    /// HTTP/2: where unread request bodies go.
    #[cfg(feature = "http2")]
    pub(super) fn unread(&self) -> Option<&Arc<Unread>> {
        self.unread.as_ref()
    }
}

// The service is never pinned: it is cloned for each request.
impl<S> Unpin for ConnService<S> {}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for ConnService<S> {
    type Response = Response<Reply<S::ResBody>>;
    type Error = Infallible;
    type Future = Call<S>;

    fn call(&self, request: Request<Incoming>) -> Call<S> {
        // A request is large to move. So it is split once here, and joined once where the app gets
        // it.
        let (mut head, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        // Nearly all requests are plain: they need no reference to the connection and few checks.
        let is_plain = head.method == Method::GET
            && head.version == Version::HTTP_11
            && !has_body
            && head.extensions.get::<OnUpgrade>().is_none();
        let context = match is_plain && !self.hooked {
            true => RequestContext::minimal(),
            false => self.context(&head, has_body),
        };
        let connect = !is_plain && head.method == Method::CONNECT;
        let checked = match host::check(&mut head, connect) {
            Ok(()) if is_plain && !request::is_asterisk(&head) => Ok(()),
            Ok(()) => request::check(&head, &body),
            Err(wrong) => Err(Refusal::BadRequest(wrong)),
        };
        let step = match checked {
            Ok(()) => {
                let body = match has_body {
                    true => self.upload(body, context.unread(), &head),
                    false => Body::empty(),
                };
                self.begin(head, body, connect, &context)
            }
            Err(refusal) => {
                if has_body {
                    drop(self.upload(body, context.unread(), &head));
                }
                CallState::refused(refusal)
            }
        };
        Call::new(step, context)
    }
}

impl<S: HttpService> ConnService<S> {
    /// Hands a request to the app. Inlined, because a head is large to move.
    #[inline(always)]
    fn begin(
        &self,
        mut head: Parts,
        body: Body,
        connect: bool,
        context: &RequestContext,
    ) -> CallState<S, S::Fut> {
        if self.adds_conn_info {
            head.extensions.insert(self.info.clone());
        }
        #[cfg(feature = "http2")]
        if connect && self.version == detect::Version::Http2 {
            let timer = Arc::clone(self.state.worker.timer());
            head.extensions
                .insert(TunnelFacts(self.info.clone(), timer));
        }
        #[cfg(not(feature = "http2"))]
        let _ = connect;
        if let Some(answer) = context.upgrade_answer() {
            head.extensions.insert(answer.clone());
        }
        let begun = panics::catch(move || {
            CallState::begin(self.service.clone(), Request::from_parts(head, body))
        });
        begun.unwrap_or_else(|message| {
            context.panicked(&message);
            CallState::refused(Refusal::Failed)
        })
    }

    /// The call of a request that hyper has not read. Checks, deadlines and panics are handled as
    /// for any other request.
    pub(super) fn respond<B>(&self, request: Request<B>) -> Call<S>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
    {
        let (mut head, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let context = self.context(&head, has_body);
        let connect = head.method == Method::CONNECT;
        let checked = host::check(&mut head, connect).map_err(Refusal::BadRequest);
        let step = match checked.and_then(|()| request::check(&head, &body)) {
            Ok(()) => {
                let body = match has_body {
                    true => Body::new(TimedBody::new(body, &self.state)),
                    false => Body::empty(),
                };
                self.begin(head, body, connect, &context)
            }
            Err(refusal) => CallState::refused(refusal),
        };
        Call::new(step, context)
    }
}

impl<S> ConnService<S> {
    #[inline(never)]
    fn context(&self, head: &Parts, has_body: bool) -> RequestContext {
        let facts = RequestFacts {
            upgrade: match head.extensions.get::<OnUpgrade>() {
                _ if head.method == Method::CONNECT => UpgradeKind::Tunnel,
                Some(_) if self.version == detect::Version::Http1 => UpgradeKind::Upgrade,
                _ => UpgradeKind::None,
            },
            is_head: head.method == Method::HEAD,
            is_http10: head.version == Version::HTTP_10,
        };
        match self.version {
            detect::Version::Http1 => {
                let offer = head.extensions.get::<OnUpgrade>();
                let answer = offer.map(|offer| {
                    upgrade_offer::record(offer.clone());
                    UpgradeAnswer::default()
                });
                let unread = has_body.then(Arc::default);
                RequestContext::for_request(&self.state, facts, unread, answer)
            }
            detect::Version::Http2 => RequestContext::for_stream(&self.state, facts),
        }
    }

    fn upload(&self, body: Incoming, h1_unread: Option<&Arc<H1Unread>>, head: &Parts) -> Body {
        if self.version == detect::Version::Http1 {
            // The body may finish within this poll; that must not wake the connection.
            self.state.set_busy(true);
        }
        let upload = Upload::new(body, &self.state);
        #[cfg(feature = "http2")]
        if let Some(unread) = &self.unread {
            return Body::new(upload.or_leave(Arc::clone(unread)));
        }
        let waits = || {
            let expected = head.headers.get(EXPECT);
            expected
                .is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        };
        Body::new(match h1_unread {
            Some(unread) => upload.or_h1_unread(Arc::clone(unread), waits()),
            None => upload,
        })
    }
}

impl<S> fmt::Debug for ConnService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnService").finish_non_exhaustive()
    }
}
