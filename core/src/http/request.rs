//! Checks of a request beyond its [host](super::host). Hyper accepts the requests that these checks
//! refuse, and the app would misinterpret them.
use super::refusal::Refusal;
use http::{Method, Version, header::TRANSFER_ENCODING, request::Parts};
use http_body::Body;

/// Whether the target is `*`.
pub(super) fn is_asterisk(head: &Parts) -> bool {
    let target = head.uri.path_and_query();
    target.is_some_and(|target| target.as_str().as_bytes().first() == Some(&b'*'))
}

/// Checks a request whose host is right.
///
/// - `*` is a target of OPTIONS only (RFC 9112 3.2.4).
/// - HTTP/1: the only transfer coding is `chunked`, once (RFC 9112 6.1 and 7).
/// - HTTP/2 and later: no value begins or ends with a space or a tab (RFC 9113 8.2.1).
#[inline(never)]
pub(super) fn check(head: &Parts, body: &impl Body) -> Result<(), Refusal> {
    if is_asterisk(head) && head.method != Method::OPTIONS {
        return Err(Refusal::BadRequest(
            "* is a target for OPTIONS only (RFC 9112 3.2.4)\n",
        ));
    }
    if head.version >= Version::HTTP_2 {
        return check_values(head);
    }
    if body.is_end_stream() || body.size_hint().exact().is_some() {
        return Ok(());
    }
    check_coding(head)
}

/// Other servers may read `chunked` twice, or a similar name, in another way: request smuggling.
fn check_coding(head: &Parts) -> Result<(), Refusal> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let (Some(coding), None) = (codings.next(), codings.next()) else {
        return Err(Refusal::BadRequest(
            "a request may have one Transfer-Encoding only (RFC 9112 6.1)\n",
        ));
    };
    let names = coding
        .as_bytes()
        .split(|&b| b == b',')
        .map(<[u8]>::trim_ascii);
    let mut others = names.filter(|name| !name.is_empty());
    match (others.next(), others.next()) {
        (Some(only), None) if only.eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(first), _)
            if first.eq_ignore_ascii_case(b"chunked")
                || first.eq_ignore_ascii_case(b"identity") =>
        {
            Err(Refusal::BadRequest(
                "the Transfer-Encoding may be chunked, once (RFC 9112 6.1)\n",
            ))
        }
        _ => Err(Refusal::NotImplemented(
            "no Transfer-Encoding but chunked is decoded (RFC 9112 6.1)\n",
        )),
    }
}

fn check_values(head: &Parts) -> Result<(), Refusal> {
    let is_space = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    let has_space = |value: &[u8]| is_space(value.first()) || is_space(value.last());
    if head
        .headers
        .values()
        .any(|value| has_space(value.as_bytes()))
    {
        return Err(Refusal::BadRequest(
            "a field value begins or ends with a space (RFC 9113 8.2.1)\n",
        ));
    }
    Ok(())
}
