//! One `Content-Length`, or none.
use super::hop_by_hop::elements;
use http::{HeaderMap, HeaderValue, header::CONTENT_LENGTH};

/// The end of a message is ambiguous, so it cannot be forwarded.
#[derive(Debug, PartialEq)]
pub(super) struct Ambiguous;

/// Leaves one `Content-Length`, if all of them are the same number (RFC 9112 6.3).
pub(super) fn unify_lengths(headers: &mut HeaderMap) -> Result<(), Ambiguous> {
    let Some(length) = headers.get(CONTENT_LENGTH) else {
        return Ok(());
    };
    // Nearly all messages have one number.
    if !is_number(length.as_bytes()) || headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        let lengths: Vec<_> = elements(headers, &CONTENT_LENGTH).collect();
        let [first, others @ ..] = &*lengths else {
            return Err(Ambiguous);
        };
        if !is_number(first) || others.iter().any(|other| other != first) {
            return Err(Ambiguous);
        }
        let length = HeaderValue::from_bytes(first).map_err(|_| Ambiguous)?;
        headers.insert(CONTENT_LENGTH, length);
    }
    Ok(())
}

fn is_number(length: &[u8]) -> bool {
    !length.is_empty() && length.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lengths_become_one_and_others_are_ambiguous() {
        let unified = |lengths: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for length in lengths {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            unify_lengths(&mut headers)?;
            let lengths = headers.get_all(CONTENT_LENGTH).iter();
            Ok(lengths
                .map(|length| length.to_str().unwrap().to_owned())
                .collect::<Vec<_>>())
        };
        assert_eq!(unified(&[]), Ok(vec![]));
        for same in [&["5"][..], &["5", "5"], &["5, 5"], &["5", "5,5"]] {
            assert_eq!(unified(same), Ok(vec!["5".to_owned()]), "{same:?}");
        }
        for other in [
            &["5", "6"][..],
            &["5, 6"],
            &["5", "05"],
            &["x"],
            &["+5"],
            &["-1"],
            &[""],
            &["5,"],
            &["0x5"],
            &["5 5"],
        ] {
            assert_eq!(unified(other), Err(Ambiguous), "{other:?}");
        }
    }
}
