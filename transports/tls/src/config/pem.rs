//! Reads PEM (RFC 7468) from a file or from memory, and explains what is wrong with it.
use anyport_core::{Error, Result};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject, SectionKind},
};
use std::{borrow::Cow, fmt, fs, io, path::PathBuf, sync::Arc};

/// The source of PEM text.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Pem {
    /// All certificates in it, at least one. An error calls them `what`.
    pub(super) fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>> {
        let text = self.read(what)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = certificates.map_err(|error| self.malformed(what, &error))?;
        if !certificates.is_empty() {
            return Ok(certificates);
        }
        Err(self.error(
            what,
            match content(&text) {
                Content::PrivateKey => {
                    "it contains a private key and no certificate (are the two swapped?)"
                }
                Content::PublicKey => "it contains a public key and no certificate",
                Content::Der => {
                    "it is binary, not PEM (`openssl x509 -inform der` converts a certificate to PEM)"
                }
                Content::Empty => "it is empty",
                Content::Other => {
                    "it contains no certificate (one begins with `-----BEGIN CERTIFICATE-----`)"
                }
            },
        ))
    }

    /// Its first private key.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        let what = "private key";
        let text = self.read(what)?;
        match PrivateKeyDer::from_pem_slice(&text) {
            // A key in the old encrypted form parses as a plain key: only a header line differs.
            Ok(_) if is_encrypted(&text) => Err(self.encrypted()),
            Ok(key) => Ok(key),
            Err(_) if is_encrypted(&text) => Err(self.encrypted()),
            Err(pem::Error::NoItemsFound) => Err(self.error(
                what,
                match content(&text) {
                    Content::PrivateKey | Content::Other if has_certificate(&text) => {
                        "it contains a certificate and no private key (are the two swapped?)"
                    }
                    Content::PublicKey => "it contains a public key and no private key",
                    Content::Der => {
                        "it is binary, not PEM (`openssl pkey -inform der` converts a key to PEM)"
                    }
                    Content::Empty => "it is empty",
                    _ => {
                        "it contains no private key (one begins with `-----BEGIN PRIVATE KEY-----`)"
                    }
                },
            )),
            Err(error) => Err(self.malformed(what, &error)),
        }
    }

    fn encrypted(&self) -> Error {
        self.error(
            "private key",
            "it is encrypted (`openssl pkey -in encrypted.pem -out plain.pem` decrypts it; keep the result readable by this user only)",
        )
    }

    fn read(&self, what: &str) -> Result<Cow<'_, [u8]>> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(Cow::Borrowed(without_bom(bytes))),
            Self::File(path) => path,
        };
        let text = fs::read(path).map(|text| Cow::Owned(without_bom(&text).to_vec()));
        text.map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => "no such file".into(),
                io::ErrorKind::PermissionDenied => "permission denied".into(),
                io::ErrorKind::IsADirectory => "it is a directory".into(),
                _ => error.to_string(),
            };
            self.error(what, &reason).with_source(error)
        })
    }

    fn malformed(&self, what: &str, error: &pem::Error) -> Error {
        // The parser's error may quote a line that contains a whole key, so it is not shown.
        let reason = match error {
            pem::Error::MissingSectionEnd { end_marker } if is_label(end_marker) => {
                format!(
                    "its PEM is truncated: `-----END {}-----` is missing",
                    String::from_utf8_lossy(end_marker)
                )
            }
            pem::Error::MissingSectionEnd { .. } | pem::Error::IllegalSectionStart { .. } => {
                "its PEM is malformed: `-----BEGIN ..-----` is not on a line of its own (were the line endings removed?)".to_owned()
            }
            pem::Error::Base64Decode(_) => {
                "its PEM is malformed: the text between `BEGIN` and `END` is not base64".to_owned()
            }
            other => format!("its PEM is malformed: {other}"),
        };
        self.error(what, &reason)
    }

    pub(super) fn error(&self, what: &str, reason: &str) -> Error {
        Error::config(format!("cannot use the {what} {self}: {reason}"))
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Bytes(_) => f.write_str("(given as bytes)"),
        }
    }
}

// A key must not appear in a log.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text without the byte order mark that some editors write before the first line.
fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The content of a text that is not the expected PEM.
enum Content {
    Empty,
    /// Bytes that look like a DER sequence.
    Der,
    PrivateKey,
    PublicKey,
    Other,
}

fn content(text: &[u8]) -> Content {
    let first = <(SectionKind, Vec<u8>)>::pem_slice_iter(text).find_map(Result::ok);
    match first {
        _ if text.trim_ascii().is_empty() => Content::Empty,
        Some((
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey,
            _,
        )) => Content::PrivateKey,
        Some((SectionKind::PublicKey, _)) => Content::PublicKey,
        None if is_der(text) => Content::Der,
        _ => Content::Other,
    }
}

/// Whether the text begins like a DER sequence that is as long as a certificate or a key (X.690
/// 8.1.3).
fn is_der(text: &[u8]) -> bool {
    match text {
        [0x30, 0x81 | 0x82, ..] => true,
        [0x30, length, rest @ ..] => *length < 0x80 && rest.len() == usize::from(*length),
        _ => false,
    }
}

/// Whether `text` looks like the label after `BEGIN`, and contains nothing else.
fn is_label(text: &[u8]) -> bool {
    text.len() < 32
        && text
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b' ')
}

fn has_certificate(text: &[u8]) -> bool {
    CertificateDer::from_pem_slice(text).is_ok()
}

/// RFC 7468 11, and the older form (RFC 1421 4.6.1.1).
fn is_encrypted(text: &[u8]) -> bool {
    [
        &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
        b"Proc-Type: 4,ENCRYPTED",
    ]
    .iter()
    .any(|mark| text.windows(mark.len()).any(|window| window == *mark))
}
