//! Checks the response that accepts a handshake (RFC 6455 4.1).
use super::{Failure, HandshakeErrorKind as Kind, request::Offer};
use crate::{handshake::has_token, socket::Agreed};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version, header};
use tungstenite::handshake::derive_accept_key;

impl Offer<'_> {
    /// What both ends have agreed on. Over HTTP/2, there is no key (RFC 8441 5).
    pub(super) fn check(&self, response: &Response<()>, has_key: bool) -> Result<Agreed, Failure> {
        let headers = response.headers();
        if has_key {
            self.check_key(response.version(), headers)?;
        }
        #[cfg(not(feature = "deflate"))]
        if let Some(selected) = headers.get(header::SEC_WEBSOCKET_EXTENSIONS) {
            return Err(not_offered(selected));
        }
        Ok(Agreed {
            protocol: self.protocol(headers)?,
            #[cfg(feature = "deflate")]
            deflate: self.deflate(headers)?,
        })
    }

    fn check_key(&self, version: Version, headers: &HeaderMap) -> Result<(), Failure> {
        let fails = |what: &'static str| Err(Failure::new(Kind::NotAccepted, what));
        if version != Version::HTTP_11 {
            return fails("the response is not of HTTP/1.1 (RFC 6455 4.1)");
        }
        if !has_token(headers, header::UPGRADE, "websocket") {
            return fails("the response has no `Upgrade: websocket` (RFC 6455 4.1)");
        }
        if !has_token(headers, header::CONNECTION, "upgrade") {
            return fails("the response has no `Connection: upgrade` (RFC 6455 4.1)");
        }
        let expected = derive_accept_key(self.key.as_bytes());
        match single(headers, header::SEC_WEBSOCKET_ACCEPT) {
            Ok(Some(key)) if key == expected.as_str() => Ok(()),
            Ok(None) => fails("the response has no Sec-WebSocket-Accept (RFC 6455 4.1)"),
            _ => fails(
                "the response has the wrong Sec-WebSocket-Accept (RFC 6455 4.1: it proves that the server read this request)",
            ),
        }
    }

    /// The index of the selected subprotocol.
    fn protocol(&self, headers: &HeaderMap) -> Result<Option<u16>, Failure> {
        let Some(selected) = single(headers, header::SEC_WEBSOCKET_PROTOCOL)
            .map_err(|()| Failure::new(Kind::Protocol, "the server selected two subprotocols"))?
        else {
            return Ok(None);
        };
        let offered = &self.handshake.config.settings().protocols;
        let place = offered.iter().position(|name| *selected == name.as_str());
        let place = place.and_then(|place| place.try_into().ok());
        place.map(Some).ok_or_else(|| {
            Failure::new(
                Kind::Protocol,
                format!("the server selected the subprotocol {selected:?}, which was not offered"),
            )
        })
    }

    #[cfg(feature = "deflate")]
    fn deflate(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<crate::handshake::AgreedDeflate>, Failure> {
        let Some(selected) = single(headers, header::SEC_WEBSOCKET_EXTENSIONS)
            .map_err(|()| Failure::new(Kind::Extension, "the server selected two extensions"))?
        else {
            return Ok(None);
        };
        let offered = self.handshake.config.settings().deflate;
        let agreed = offered.and_then(|deflate| deflate.accepted(selected));
        agreed.map(Some).ok_or_else(|| not_offered(selected))
    }
}

fn not_offered(selected: &HeaderValue) -> Failure {
    Failure::new(
        Kind::Extension,
        format!("the server selected the extension {selected:?}, which was not offered like that"),
    )
}

/// The value of a header that may occur once.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(()),
    }
}
