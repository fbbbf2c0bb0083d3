//! An upgrade that a client asks of a proxy's target.
use super::Rejection;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use hyper::upgrade::OnUpgrade;

/// An upgrade that a client and its proxy ask the target for. The client asks for it in HTTP/1.1 by
/// `Upgrade` (RFC 9110 7.8), in HTTP/2 by extended CONNECT (RFC 8441), and the proxy in HTTP/1.1.
///
/// [`prepare_request`](super::prepare_request) returns it. Give it to
/// [`prepare_response`](super::prepare_response).
#[derive(Debug)]
pub struct Upgrade {
    protocol: HeaderValue,
    asked_by: AskedBy,
    client: OnUpgrade,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum AskedBy {
    Http1,
    ExtendedConnect,
}

/// Both ends of a connection that was upgraded through a proxy. Copy the bytes between them.
///
/// The client's end is ready some time after the response was returned to the server. So await them
/// in a task of their own.
#[derive(Debug)]
pub struct Tunnel {
    /// The connection to the client.
    pub client: OnUpgrade,
    /// The connection to the target.
    pub target: OnUpgrade,
}

impl Upgrade {
    /// An upgrade of HTTP/1.1 to the protocols that are in `allowed`. `None`: it names none of
    /// them.
    pub(super) fn http1<B>(
        asked: &HeaderValue,
        allowed: &[&str],
        request: &mut Request<B>,
    ) -> Option<Self> {
        let asked = asked.as_bytes().split(|&byte| byte == b',');
        let is_allowed = |name: &&[u8]| is_any(name, allowed);
        let names: Vec<_> = asked.map(<[u8]>::trim_ascii).filter(is_allowed).collect();
        let protocol = HeaderValue::from_bytes(&names.join(&b", "[..])).ok();
        let this = Self {
            protocol: protocol.filter(|_| !names.is_empty())?,
            asked_by: AskedBy::Http1,
            client: hyper::upgrade::on(&mut *request),
        };
        this.ask(request);
        Some(this)
    }

    /// An extended CONNECT to a protocol that is in `allowed`. The request becomes a GET, with a
    /// `Sec-WebSocket-Key` if the protocol is `websocket` (RFC 6455 4.1).
    pub(super) fn extended_connect<B>(allowed: &[&str], request: &mut Request<B>) -> Option<Self> {
        let protocol = request.extensions_mut().remove::<hyper::ext::Protocol>()?;
        let protocol = Some(protocol.as_str()).filter(|name| is_any(name.as_bytes(), allowed))?;
        let this = Self {
            protocol: HeaderValue::from_str(protocol).ok()?,
            asked_by: AskedBy::ExtendedConnect,
            client: hyper::upgrade::on(&mut *request),
        };
        let headers = request.headers_mut();
        // CONNECT has no content, whatever it says. A target that refuses the upgrade would take
        // the next request for the content.
        headers.remove(CONTENT_LENGTH);
        if protocol.eq_ignore_ascii_case("websocket") {
            headers.insert(SEC_WEBSOCKET_KEY, websocket_key());
        }
        *request.method_mut() = Method::GET;
        this.ask(request);
        Some(this)
    }

    fn ask<B>(&self, request: &mut Request<B>) {
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The protocols that the target is asked for: `websocket`, or a list in the client's order.
    #[must_use]
    pub fn protocol(&self) -> &HeaderValue {
        &self.protocol
    }

    /// The client's end of the tunnel, if the response agrees to the upgrade; `switched` is its
    /// `Upgrade`. The response becomes the one that the client expects.
    pub(super) fn answer<B>(
        self,
        response: &mut Response<B>,
        switched: Option<HeaderValue>,
    ) -> Result<Option<Tunnel>, Rejection> {
        let extended = self.asked_by == AskedBy::ExtendedConnect;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // In response to CONNECT, success means that the tunnel is open.
            return match extended && response.status().is_success() {
                true => Err(Rejection::response(
                    "the target did not switch protocols (RFC 8441 5)",
                )),
                false => Ok(None),
            };
        }
        // RFC 9110 7.8: a server switches to a protocol of the request only.
        let protocol = switched
            .filter(|protocol| self.offers(protocol))
            .ok_or_else(|| {
                Rejection::response("the target switched to another protocol (RFC 9110 7.8)")
            })?;
        let target = hyper::upgrade::on(&mut *response);
        if extended {
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        } else {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
        }
        Ok(Some(Tunnel {
            client: self.client,
            target,
        }))
    }

    fn offers(&self, protocol: &HeaderValue) -> bool {
        let offered = self.protocol.as_bytes().split(|&byte| byte == b',');
        let mut offered = offered.map(<[u8]>::trim_ascii);
        offered.any(|offered| offered.eq_ignore_ascii_case(protocol.as_bytes()))
    }
}

fn is_any(name: &[u8], allowed: &[&str]) -> bool {
    let mut allowed = allowed.iter().map(|name| name.as_bytes());
    allowed.any(|allowed| name.eq_ignore_ascii_case(allowed))
}

/// 16 random bytes in base64: 21 digits of six bits, one with two bits, and the padding.
fn websocket_key() -> HeaderValue {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut key = [b'='; 24];
    for digit in &mut key[..21] {
        *digit = DIGITS[fastrand::usize(..64)];
    }
    key[21] = DIGITS[fastrand::usize(..4) << 4];
    HeaderValue::from_bytes(&key).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests;
