//! The TLVs after the addresses of a version 2 header: type, length, value.
use super::HeaderError;
use anyport_core::transport::{Proxied, ProxiedTls};
use crc::{CRC_32_ISCSI, Crc};
use proxy_header::{SslInfo, Tlv};

/// CRC32c (RFC 9260 appendix A).
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The longest unique identifier (section 2.2.5 of the protocol).
const UNIQUE_ID: usize = 128;

/// The types from 0xE0 to 0xEF are for vendors, those from 0xF0 to 0xF7 are for experiments.
const EXTENSIONS: std::ops::RangeInclusive<u8> = 0xE0..=0xF7;

/// Reads the TLVs, which begin at this byte of the header, and verifies the checksum if there is
/// one. If a type occurs twice, the first TLV is used; all extensions are kept.
pub(super) fn read(header: &[u8], begin: usize, proxied: &mut Proxied) -> Result<(), HeaderError> {
    let mut at = begin;
    while let Some(&kind) = header.get(at) {
        let value = at + 3;
        let tlv = match header.get(at + 1..value) {
            Some(&[high, low]) => {
                let end = value + usize::from(u16::from_be_bytes([high, low]));
                let bytes = header.get(value..end);
                bytes.and_then(|bytes| Some((Tlv::decode(kind, bytes).ok()?, end)))
            }
            _ => None,
        };
        let Some((tlv, end)) = tlv else {
            return Err(invalid(kind, at));
        };
        at = end;
        match tlv {
            Tlv::Crc32c(wanted) => verify(wanted, header, value)?,
            Tlv::UniqueId(id) if id.len() > UNIQUE_ID => {
                return Err(HeaderError::new(format!(
                    "the PROXY header's unique id has {} bytes, and at most {UNIQUE_ID} are allowed",
                    id.len()
                )));
            }
            other => take(other, proxied)?,
        }
    }
    Ok(())
}

fn take(tlv: Tlv<'_>, proxied: &mut Proxied) -> Result<(), HeaderError> {
    match tlv {
        Tlv::Alpn(value) => fill(&mut proxied.alpn, || value.as_ref().into()),
        Tlv::Authority(value) => fill(&mut proxied.authority, || value.as_ref().into()),
        Tlv::UniqueId(value) => fill(&mut proxied.unique_id, || value.as_ref().into()),
        Tlv::Netns(value) => fill(&mut proxied.namespace, || value.as_ref().into()),
        Tlv::Ssl(ssl) => {
            let tls = tls(&ssl)?;
            // Without this flag, the proxy says that there is no TLS.
            if ssl.client_ssl() {
                fill(&mut proxied.tls, || tls);
            }
        }
        Tlv::Custom(kind, value) if EXTENSIONS.contains(&kind) => {
            proxied.extensions.push((kind, value.as_ref().into()));
        }
        _ => {}
    }
    Ok(())
}

fn tls(ssl: &SslInfo<'_>) -> Result<Box<ProxiedTls>, HeaderError> {
    let mut tls = Box::<ProxiedTls>::default();
    tls.has_certificate = ssl.client_cert_conn() || ssl.client_cert_sess();
    tls.verified = tls.has_certificate && ssl.verify() == 0;
    for tlv in ssl.tlvs() {
        let Ok(tlv) = tlv else {
            return Err(HeaderError::new(
                "the PROXY header's TLS values are invalid: a length goes beyond their end, or a text is not UTF-8",
            ));
        };
        let (field, value) = match &tlv {
            Tlv::SslVersion(value) => (&mut tls.version, value),
            Tlv::SslCipher(value) => (&mut tls.cipher, value),
            Tlv::SslCn(value) => (&mut tls.common_name, value),
            Tlv::SslSigAlg(value) => (&mut tls.signature_algorithm, value),
            Tlv::SslKeyAlg(value) => (&mut tls.key_algorithm, value),
            _ => continue,
        };
        fill(field, || value.as_ref().into());
    }
    Ok(tls)
}

fn fill<T>(field: &mut Option<T>, value: impl FnOnce() -> T) {
    if field.is_none() {
        *field = Some(value());
    }
}

/// The sender computed the checksum while its four bytes, which begin at `at`, were zero.
fn verify(wanted: u32, header: &[u8], at: usize) -> Result<(), HeaderError> {
    let mut digest = CRC32C.digest();
    digest.update(&header[..at]);
    digest.update(&[0; 4]);
    digest.update(&header[at + 4..]);
    let computed = digest.finalize();
    if computed == wanted {
        return Ok(());
    }
    Err(HeaderError::new(format!(
        "the PROXY header's checksum is {wanted:#010x}, but its bytes give {computed:#010x}"
    )))
}

fn invalid(kind: u8, at: usize) -> HeaderError {
    HeaderError::new(format!(
        "the PROXY header's value of type {kind:#04x} at byte {at} is invalid: its length goes beyond the header, or its content is malformed"
    ))
}
