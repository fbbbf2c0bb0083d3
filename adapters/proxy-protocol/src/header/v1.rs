//! Version 1: a line of text.
use super::{Client, Frame, Header, HeaderError, may_begin_with};
use anyport_core::transport::Proxied;
use proxy_header::{ParseConfig, ProxyHeader};

const PREFIX: &[u8] = b"PROXY ";

/// The maximum length of a line, with its CRLF (section 2.1 of the protocol).
const MAX_LINE: usize = 107;

pub(super) fn frame(input: &[u8]) -> Result<Frame, HeaderError> {
    if !may_begin_with(input, PREFIX) {
        return Err(HeaderError::not_a_header(input));
    }
    let line = &input[..input.len().min(MAX_LINE)];
    match line.iter().position(|&byte| byte == b'\n') {
        Some(end) if line[..end].ends_with(b"\r") => Ok(Frame::Complete(end + 1)),
        Some(_) => Err(HeaderError::new(
            "the line of the PROXY header ends without CR",
        )),
        None if line.len() == MAX_LINE => Err(HeaderError::new(
            "the line of the PROXY header does not end within 107 bytes",
        )),
        None => Ok(Frame::Incomplete),
    }
}

pub(super) fn parse(line: &[u8]) -> Result<Header, HeaderError> {
    let fields = &line[PREFIX.len()..line.len() - 2];
    let invalid = || {
        let line = fields.escape_ascii();
        HeaderError::new(format!("the PROXY header's line is invalid: \"{line}\""))
    };
    // The protocol requires that the text after this word is ignored.
    if fields == b"UNKNOWN" || fields.starts_with(b"UNKNOWN ") {
        return Ok(Header::Proxy);
    }
    // The parser accepts signs and leading zeros.
    let mut ports = fields.rsplit(|&byte| byte == b' ').take(2);
    if !ports.all(is_port) {
        return Err(invalid());
    }
    match ProxyHeader::parse(line, ParseConfig::default()) {
        Ok((header, length)) if length == line.len() => match header.proxied_address() {
            Some(address) => {
                let mut proxied = Proxied::default();
                proxied.destination = Some(address.destination.into());
                let endpoint = address.source.into();
                Ok(Header::Client(Client { endpoint, proxied }))
            }
            None => Err(invalid()),
        },
        _ => Err(invalid()),
    }
}

/// Whether the field consists of digits without leading zeros.
fn is_port(field: &[u8]) -> bool {
    match field {
        [] => false,
        [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}
