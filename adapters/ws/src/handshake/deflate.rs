//! The negotiation of compression (RFC 7692 7.1).
use crate::protocol::{Deflater, Inflater, Window};
use http::HeaderValue;

const NAME: &str = "permessage-deflate";

/// How messages are compressed, if the client offers it and the server accepts it (RFC 7692). Needs
/// the feature `deflate` (`ws-deflate` of anyport).
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
    /// Lets messages refer to earlier messages, if the peer allows that (context takeover).
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
        let mut agreed = AgreedDeflate {
            sends_with_context: self.context_takeover,
            receives_with_context: self.context_takeover,
            window: None,
            threshold: self.threshold,
        };
        for parameter in parameters(offer)? {
            match parameter {
                ("server_no_context_takeover", None) => agreed.sends_with_context = false,
                ("client_no_context_takeover", None) => agreed.receives_with_context = false,
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

    /// What a client offers. It inflates with the largest window, whatever the server uses.
    #[cfg(feature = "client")]
    pub(crate) fn offer(self) -> HeaderValue {
        HeaderValue::from_static(match self.context_takeover {
            true => "permessage-deflate; client_max_window_bits",
            false => {
                "permessage-deflate; client_max_window_bits; client_no_context_takeover; server_no_context_takeover"
            }
        })
    }

    /// Checks the response to the [offer](Self::offer), of which there may be one. `None`: it is
    /// not valid (RFC 7692 7.1).
    #[cfg(feature = "client")]
    pub(crate) fn accepted(self, response: &HeaderValue) -> Option<AgreedDeflate> {
        let mut agreed = AgreedDeflate {
            sends_with_context: self.context_takeover,
            receives_with_context: true,
            window: None,
            threshold: self.threshold,
        };
        for parameter in parameters(response.to_str().ok()?)? {
            match parameter {
                ("server_no_context_takeover", None) => agreed.receives_with_context = false,
                ("client_no_context_takeover", None) => agreed.sends_with_context = false,
                ("server_max_window_bits", Some(bits)) => drop(parse(bits)?),
                ("client_max_window_bits", Some(bits)) => match Window::new(parse(bits)?) {
                    Some(window) => agreed.window = Some(window),
                    // zlib has no such window, so messages are sent uncompressed.
                    None => agreed.threshold = usize::MAX,
                },
                _ => return None,
            }
        }
        Some(agreed)
    }
}

/// The parameters of permessage-deflate, each at most once. `None`: this is not a valid list, or
/// another extension.
fn parameters(text: &str) -> Option<Vec<(&str, Option<&str>)>> {
    let mut parts = text.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let mut all: Vec<(&str, Option<&str>)> = Vec::new();
    for parameter in parts {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (parameter, None),
        };
        if all.iter().any(|(seen, _)| *seen == name) {
            return None;
        }
        all.push((name, value));
    }
    Some(all)
}

/// Parses a number from 8 to 15, without a leading zero (RFC 7692 7.1.2).
fn parse(bits: &str) -> Option<u8> {
    let parsed = bits.parse().ok().filter(|bits| matches!(bits, 8..=15))?;
    (!bits.starts_with(['0', '+'])).then_some(parsed)
}

/// The parameters that both ends have agreed on.
#[derive(Debug)]
pub(crate) struct AgreedDeflate {
    /// Whether messages from this end refer to earlier ones.
    sends_with_context: bool,
    /// Whether messages from the peer refer to earlier ones.
    receives_with_context: bool,
    /// The largest window for this end that the peer allows.
    window: Option<Window>,
    threshold: usize,
}

impl AgreedDeflate {
    /// The server's response.
    pub(super) fn header(&self) -> HeaderValue {
        let mut header = NAME.to_owned();
        if !self.sends_with_context {
            header.push_str("; server_no_context_takeover");
        }
        if !self.receives_with_context {
            header.push_str("; client_no_context_takeover");
        }
        if let Some(window) = self.window {
            header.push_str(&format!("; server_max_window_bits={}", window.bits()));
        }
        HeaderValue::try_from(header).unwrap_or_else(|_| HeaderValue::from_static(NAME))
    }

    pub(crate) fn inflater(&self) -> Inflater {
        Inflater::new(self.receives_with_context)
    }

    pub(crate) fn deflater(&self) -> Deflater {
        Deflater::new(
            self.sends_with_context,
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

    /// The response to a client's offer, and which ends keep their contexts.
    #[cfg(feature = "client")]
    #[test]
    fn server_responses_are_accepted_or_refused() {
        for (response, expected) in [
            (NAME, Some((false, true))),
            (
                "permessage-deflate; server_no_context_takeover",
                Some((false, false)),
            ),
            (
                "Permessage-Deflate;server_max_window_bits=8; client_max_window_bits=\"9\"",
                Some((false, true)),
            ),
            (
                "permessage-deflate; client_max_window_bits=8",
                Some((false, true)),
            ),
            ("permessage-deflate; client_max_window_bits", None),
            ("permessage-deflate; client_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_no_context_takeover=1", None),
            ("permessage-deflate; unknown", None),
            (
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                None,
            ),
            ("permessage-deflate, permessage-deflate", None),
            ("permessage-bzip2", None),
        ] {
            let accepted = Deflate::default().accepted(&HeaderValue::from_static(response));
            let got = accepted.map(|a| (a.sends_with_context, a.receives_with_context));
            assert_eq!(got, expected, "{response}");
        }
        let keeps = Deflate::default().with_context_takeover();
        for (response, sends) in [
            (NAME, true),
            ("permessage-deflate; client_no_context_takeover", false),
        ] {
            let agreed = keeps.accepted(&HeaderValue::from_static(response)).unwrap();
            assert_eq!(agreed.sends_with_context, sends, "{response}");
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
