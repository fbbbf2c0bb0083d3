//! The negotiation of compression (RFC 7692 7.1).
use crate::protocol::{Deflater, Inflater, Window};
use http::HeaderValue;

const NAME: &str = "permessage-deflate";

/// How messages are compressed, if the client offers it (RFC 7692). Needs the feature `deflate`
/// (`ws-deflate` of anyport).
///
/// By default, each message is compressed independently. Then a WebSocket keeps no context, and all
/// WebSockets of a worker share one. A message below 1 KiB is not compressed, nor is one that
/// compression does not make smaller.
#[derive(Clone, Copy, Debug)]
pub struct Deflate {
    context_takeover: bool,
    threshold: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            context_takeover: false,
            threshold: 1024,
        }
    }
}

impl Deflate {
    /// Lets messages refer to earlier messages, if the client allows that (context takeover).
    /// Messages become smaller, but each WebSocket keeps two contexts of about 300 KiB together.
    #[must_use]
    pub fn with_context_takeover(mut self) -> Self {
        self.context_takeover = true;
        self
    }

    /// Messages of fewer bytes are not compressed. Default: 1,024.
    #[must_use]
    pub fn with_threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Accepts the first offer that the server can fulfil.
    pub(super) fn agree(self, offers: &[HeaderValue]) -> Option<AgreedDeflate> {
        let offers = offers.iter().filter_map(|value| value.to_str().ok());
        offers
            .flat_map(|value| value.split(','))
            .find_map(|offer| self.meet(offer))
    }

    fn meet(self, offer: &str) -> Option<AgreedDeflate> {
        let mut parts = offer.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut agreed = AgreedDeflate {
            server_takes_over: self.context_takeover,
            client_takes_over: self.context_takeover,
            window: None,
            threshold: self.threshold,
        };
        let mut seen = Vec::new();
        for parameter in parts {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                ("server_no_context_takeover", None) => agreed.server_takes_over = false,
                ("client_no_context_takeover", None) => agreed.client_takes_over = false,
                ("server_max_window_bits", Some(bits)) => {
                    agreed.window = Some(Window::new(parse(bits)?)?)
                }
                // The server inflates with the largest window, whatever the client uses.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => drop(parse(bits)?),
                _ => return None,
            }
        }
        Some(agreed)
    }
}

/// Parses a number from 8 to 15, without a leading zero (RFC 7692 7.1.2).
fn parse(bits: &str) -> Option<u8> {
    let parsed = bits.parse().ok().filter(|bits| matches!(bits, 8..=15))?;
    (!bits.starts_with(['0', '+'])).then_some(parsed)
}

/// The parameters that both ends have agreed on.
#[derive(Debug)]
pub(crate) struct AgreedDeflate {
    server_takes_over: bool,
    client_takes_over: bool,
    /// The largest window for this end that the client allows.
    window: Option<Window>,
    threshold: usize,
}

impl AgreedDeflate {
    pub(super) fn header(&self) -> HeaderValue {
        let mut header = NAME.to_owned();
        if !self.server_takes_over {
            header.push_str("; server_no_context_takeover");
        }
        if !self.client_takes_over {
            header.push_str("; client_no_context_takeover");
        }
        if let Some(window) = self.window {
            header.push_str(&format!("; server_max_window_bits={}", window.bits()));
        }
        HeaderValue::try_from(header).unwrap_or_else(|_| HeaderValue::from_static(NAME))
    }

    pub(crate) fn inflater(&self) -> Inflater {
        Inflater::new(self.client_takes_over)
    }

    pub(crate) fn deflater(&self) -> Deflater {
        Deflater::new(
            self.server_takes_over,
            self.window.unwrap_or(Window::LARGEST),
            self.threshold,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(deflate: Deflate, offer: &'static str) -> Option<String> {
        let agreed = deflate.agree(&[HeaderValue::from_static(offer)])?;
        Some(agreed.header().to_str().unwrap().to_owned())
    }

    #[test]
    fn client_offers_are_accepted_or_declined() {
        let none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for (offer, expected) in [
            ("permessage-deflate", Some("")),
            ("permessage-deflate; client_max_window_bits", Some("")),
            ("permessage-deflate; client_max_window_bits=10", Some("")),
            (
                "permessage-deflate;server_max_window_bits=10",
                Some("; server_max_window_bits=10"),
            ),
            (
                "Permessage-Deflate; server_max_window_bits=\"9\"",
                Some("; server_max_window_bits=9"),
            ),
            ("x-webkit-deflate-frame, permessage-deflate", Some("")),
            // zlib has no such window, so the next offer is accepted.
            (
                "permessage-deflate; server_max_window_bits=8, permessage-deflate",
                Some(""),
            ),
            ("permessage-deflate; server_max_window_bits=8", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=010", None),
            ("permessage-deflate; client_max_window_bits=7", None),
            ("permessage-deflate; server_no_context_takeover=1", None),
            ("permessage-deflate; unknown", None),
            (
                "permessage-deflate; client_max_window_bits; client_max_window_bits",
                None,
            ),
            ("permessage-bzip2", None),
            ("", None),
        ] {
            let expected = expected.map(|more| format!("{none}{more}"));
            assert_eq!(agreed(Deflate::default(), offer), expected, "{offer}");
        }
    }

    #[test]
    fn contexts_are_kept_if_both_ends_agree() {
        let keeps = Deflate::default().with_context_takeover();
        assert_eq!(agreed(keeps, NAME).unwrap(), NAME);
        let offer = "permessage-deflate; server_no_context_takeover";
        assert_eq!(agreed(keeps, offer).unwrap(), offer);
    }
}
