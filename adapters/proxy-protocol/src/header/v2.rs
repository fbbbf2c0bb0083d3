//! Version 2: a binary header.
use super::{Client, Frame, Header, HeaderError, MAX_HEADER, may_begin_with, tlv};
use anyport_core::transport::{Endpoint, Proxied, UnixName};
use proxy_header::{ParseConfig, ProxyHeader};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, and length.
const FIXED: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// The length of each path in the addresses of Unix sockets.
const PATH: usize = 108;

pub(super) fn frame(input: &[u8]) -> Result<Frame, HeaderError> {
    if !may_begin_with(input, SIGNATURE) {
        return Err(HeaderError::not_a_header(input));
    }
    if let Some(&command) = input.get(SIGNATURE.len())
        && !matches!(command, LOCAL | PROXY)
    {
        return Err(HeaderError::new(format!(
            "the PROXY header has version and command {command:#04x}, which are unknown: 0x20 and 0x21 are known"
        )));
    }
    let Some(&[high, low]) = input.get(FIXED - 2..FIXED) else {
        return Ok(Frame::Incomplete);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_HEADER {
        return Err(HeaderError::new(format!(
            "the PROXY header has {length} bytes, and at most {MAX_HEADER} are read"
        )));
    }
    match input.len() < length {
        true => Ok(Frame::Incomplete),
        false => Ok(Frame::Complete(length)),
    }
}

pub(super) fn parse(header: &[u8]) -> Result<Header, HeaderError> {
    // The block of a LOCAL header is skipped, whatever its content (section 2.2).
    if header[SIGNATURE.len()] == LOCAL {
        return Ok(Header::Proxy);
    }
    let family = header[SIGNATURE.len() + 1];
    let parsed = ProxyHeader::parse(header, ParseConfig::default());
    let Ok((parsed, _)) = parsed else {
        return Err(HeaderError::new(format!(
            "the PROXY header's address block is invalid: family {family:#04x}, {} bytes",
            header.len() - FIXED
        )));
    };
    let (length, addresses) = match parsed.proxied_address() {
        Some(address) => {
            let length = if address.source.is_ipv4() { 12 } else { 36 };
            let addresses = (address.source.into(), address.destination.into());
            (length, Some(addresses))
        }
        None if family >> 4 == 3 => {
            let (source, destination) = header[FIXED..][..2 * PATH].split_at(PATH);
            (2 * PATH, Some((unix(source), unix(destination))))
        }
        None => (0, None),
    };
    let mut proxied = Proxied::default();
    tlv::read(header, FIXED + length, &mut proxied)?;
    let Some((endpoint, destination)) = addresses else {
        return Ok(Header::Proxy);
    };
    proxied.destination = Some(destination);
    Ok(Header::Client(Client { endpoint, proxied }))
}

/// A path ends at its first zero byte. A name in the abstract namespace begins with a zero byte,
/// and the header does not contain its length. So such a client is unnamed.
fn unix(path: &[u8]) -> Endpoint {
    let end = path.iter().position(|&byte| byte == 0);
    match &path[..end.unwrap_or(path.len())] {
        [] => Endpoint::Unix(UnixName::Unnamed),
        path => Endpoint::Unix(UnixName::Path(as_path(path).into())),
    }
}

#[cfg(unix)]
fn as_path(path: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(path).as_ref()
}

#[cfg(not(unix))]
fn as_path(path: &[u8]) -> std::path::PathBuf {
    String::from_utf8_lossy(path).into_owned().into()
}
