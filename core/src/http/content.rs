//! Whether a response has content, and of which length. Hyper sends the length that the app
//! declares. If the length is wrong, the client takes a part of one response for the next response.
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    response::Parts,
};
use http_body::SizeHint;

/// How much of the app's body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The whole body.
    Whole,
    /// As many bytes as the head announces, because the length of the body is not known in advance.
    Announced(u64),
    /// Nothing: the response ends with its head.
    None,
}

/// The fault of a response, described for the operator.
pub(super) type Wrong = &'static str;

/// Whether hyper handles this response correctly by itself, because it computes the length from the
/// body. Nearly all responses are of this kind. Not for responses to HEAD.
#[inline]
pub(super) fn is_plain(head: &Parts) -> bool {
    let is_usual = !matches!(head.status.as_u16(), ..200 | 204 | 205 | 304);
    is_usual && !announces_length(&head.headers)
}

/// Whether there is a `Content-Length`. With few headers, comparing each is faster than a lookup.
#[inline(always)]
fn announces_length(headers: &HeaderMap) -> bool {
    match headers.len() {
        ..8 => headers.keys().any(|name| *name == CONTENT_LENGTH),
        _ => headers.contains_key(CONTENT_LENGTH),
    }
}

/// Corrects the head of a response whose body has this size. Returns how much of the body is sent.
///
/// - Nothing in answer to HEAD, or with 204, 205 or 304 (RFC 9110 9.3.2, 15.3.5, 15.3.6, 15.4.5).
///   In HTTP/1, hyper does most of that.
/// - `Content-Length` becomes the body's size, if that is known.
///
/// `is_head`: the request was a HEAD. `is_stream`: the response goes over HTTP/2.
pub(super) fn settle(
    head: &mut Parts,
    size: &SizeHint,
    is_head: bool,
    is_stream: bool,
) -> (Content, Option<Wrong>) {
    if !is_head && is_plain(head) {
        return (Content::Whole, None);
    }
    match head.status {
        StatusCode::RESET_CONTENT => {
            head.headers.remove(CONTENT_LENGTH);
            head.headers.remove(TRANSFER_ENCODING);
            let has_content = (size.lower() > 0)
                .then_some("a response with status 205 has no content (RFC 9110 15.3.6)");
            return (Content::None, has_content);
        }
        // RFC 9110 8.6 forbids a `Content-Length` with this status.
        StatusCode::NO_CONTENT => {
            head.headers.remove(CONTENT_LENGTH);
            return (without(is_stream), None);
        }
        StatusCode::NOT_MODIFIED => return (without(is_stream), None),
        _ => {}
    }
    if is_head {
        if is_stream
            && let Some(length) = size.exact().filter(|&length| length > 0)
            && !announces_length(&head.headers)
        {
            head.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        return (without(is_stream), None);
    }
    match (announced(&head.headers), size.exact()) {
        (Some(announced), Some(length)) if announced == length => (Content::Whole, None),
        (Some(announced), None) => (Content::Announced(announced), None),
        (_, Some(length)) => {
            head.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
            (
                Content::Whole,
                Some(
                    "a response's Content-Length was not the length of its body, and was corrected",
                ),
            )
        }
        (None, None) => {
            head.headers.remove(CONTENT_LENGTH);
            (
                Content::Whole,
                Some("a response's Content-Length was no number, and was removed"),
            )
        }
    }
}

/// In HTTP/1, hyper itself omits the body and sets the length.
fn without(is_stream: bool) -> Content {
    match is_stream {
        true => Content::None,
        false => Content::Whole,
    }
}

/// The single `Content-Length`, if it is a number.
fn announced(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (length, None) = (lengths.next()?, lengths.next()) else {
        return None;
    };
    let digits = length.to_str().ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    fn settled(
        status: u16,
        lengths: &[&str],
        size: Option<u64>,
        is_head: bool,
        is_stream: bool,
    ) -> (Content, Vec<String>, bool) {
        let mut response = Response::builder().status(status);
        for length in lengths {
            response = response.header(CONTENT_LENGTH, *length);
        }
        let (mut head, ()) = response.body(()).unwrap().into_parts();
        let size = size.map_or_else(SizeHint::default, SizeHint::with_exact);
        let (content, wrong) = settle(&mut head, &size, is_head, is_stream);
        let lengths = head.headers.get_all(CONTENT_LENGTH).iter();
        let lengths = lengths
            .map(|length| length.to_str().unwrap().to_owned())
            .collect();
        (content, lengths, wrong.is_some())
    }

    #[test]
    fn content_length_is_that_of_the_body() {
        for is_stream in [false, true] {
            let settled = |lengths: &[&str], size| settled(200, lengths, size, false, is_stream);
            let none = Vec::<String>::new();
            assert_eq!(settled(&[], Some(5)), (Content::Whole, none.clone(), false));
            assert_eq!(
                settled(&["5"], Some(5)),
                (Content::Whole, vec!["5".into()], false)
            );
            assert_eq!(
                settled(&["5"], None),
                (Content::Announced(5), vec!["5".into()], false)
            );
            for wrong in [
                &["4"][..],
                &["5", "5"],
                &["x"],
                &["+5"],
                &[""],
                &["18446744073709551616"],
            ] {
                assert_eq!(
                    settled(wrong, Some(5)),
                    (Content::Whole, vec!["5".into()], true),
                    "{wrong:?}"
                );
            }
            assert_eq!(settled(&["x"], None), (Content::Whole, none, true));
        }
    }

    #[test]
    fn responses_to_head_and_204_and_304_have_no_content() {
        let none = Vec::<String>::new();
        for (status, kept) in [(204, false), (205, false), (304, true)] {
            let (content, lengths, _) = settled(status, &["5"], Some(5), false, true);
            assert_eq!(
                (content, !lengths.is_empty()),
                (Content::None, kept),
                "{status}"
            );
        }
        assert_eq!(
            settled(205, &["5"], Some(5), false, false),
            (Content::None, none.clone(), true)
        );
        assert_eq!(
            settled(205, &[], Some(0), false, false),
            (Content::None, none.clone(), false)
        );
        // In HTTP/1, hyper omits these bodies.
        assert_eq!(
            settled(204, &[], Some(5), false, false),
            (Content::Whole, none, false)
        );
    }

    #[test]
    fn response_to_head_has_the_content_length_of_get() {
        let head = |lengths: &[&str], size, is_stream| settled(200, lengths, size, true, is_stream);
        assert_eq!(
            head(&[], Some(5), true),
            (Content::None, vec!["5".into()], false)
        );
        assert_eq!(
            head(&["7"], Some(0), true),
            (Content::None, vec!["7".into()], false)
        );
        assert_eq!(head(&[], None, true), (Content::None, vec![], false));
        assert_eq!(
            head(&["7"], Some(0), false),
            (Content::Whole, vec!["7".into()], false)
        );
    }
}
