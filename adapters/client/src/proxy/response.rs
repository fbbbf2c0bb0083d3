//! A received response becomes one that may be returned to the client.
use super::{
    Rejection, Tunnel, Upgrade,
    content_length::{Ambiguous, unify_lengths},
    hop_by_hop::remove_hop_by_hop,
};
use http::{Response, StatusCode, Version};

/// Makes a target's response one that a proxy may return to its client.
///
/// - [`remove_hop_by_hop`] removes the fields of the target's connection.
/// - The version becomes HTTP/1.1, because it was that of the target's connection; the server sends
///   that of the client's (RFC 9110 2.5).
/// - If the target agreed to the upgrade, the response becomes the one that the client expects:
///   101, or 200 in response to an extended CONNECT.
///
/// `upgrade` is the one that [`prepare_request`](super::prepare_request) returned. Returns both
/// ends of the tunnel if the target agreed to it.
///
/// # Errors
///
/// 502: the target switched protocols without being asked to, or to another protocol. Or it
/// responded with success to an extended CONNECT without switching. Or several `Content-Length`
/// fields disagree on the end of the response.
pub fn prepare_response<B>(
    response: &mut Response<B>,
    upgrade: Option<Upgrade>,
) -> Result<Option<Tunnel>, Rejection> {
    let switched = remove_hop_by_hop(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    unify_lengths(response.headers_mut()).map_err(|Ambiguous| {
        Rejection::response("the target's Content-Length is ambiguous (RFC 9112 6.3)")
    })?;
    match upgrade {
        Some(upgrade) => upgrade.answer(response, switched),
        None if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(Rejection::response(
            "the target switched protocols without being asked (RFC 9110 7.8)",
        )),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
