//! Reads PEM (RFC 7468) from a file or from memory, and explains what is wrong with it.
use anyport_core::{Error, Result};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject, SectionKind},
};
use std::{borrow::Cow, fmt, fs, io, path::PathBuf, sync::Arc};

/// Where PEM is.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Pem {
    /// The certificates in it, at least one. `what`: what they're for.
    pub(super) fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>> {
        let text = self.read(what)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = certificates.map_err(|error| self.broken(what, &error))?;
        if !certificates.is_empty() {
            return Ok(certificates);
        }
        Err(self.error(
            what,
            match sections(&text) {
                Sections::PrivateKey => {
                    "it holds a private key, no certificate (are the two mixed up?)"
                }
                Sections::PublicKey => "it holds a public key, no certificate",
                Sections::Der => {
                    "it's binary, not PEM (`openssl x509 -inform der` makes PEM of a certificate)"
                }
                Sections::Nothing => "it's empty",
                Sections::Other => {
                    "it holds no certificate (one begins with `-----BEGIN CERTIFICATE-----`)"
                }
            },
        ))
    }

    /// The private key in it; the first one, if there are several.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        let what = "private key";
        let text = self.read(what)?;
        match PrivateKeyDer::from_pem_slice(&text) {
            // The old form looks like a plain key but for a line below its beginning.
            Ok(_) if is_encrypted(&text) => Err(self.encrypted()),
            Ok(key) => Ok(key),
            Err(_) if is_encrypted(&text) => Err(self.encrypted()),
            Err(pem::Error::NoItemsFound) => Err(self.error(
                what,
                match sections(&text) {
                    Sections::PrivateKey | Sections::Other if has_certificate(&text) => {
                        "it holds a certificate, no private key (are the two mixed up?)"
                    }
                    Sections::PublicKey => "it holds a public key, no private key",
                    Sections::Der => {
                        "it's binary, not PEM (`openssl pkey -inform der` makes PEM of a key)"
                    }
                    Sections::Nothing => "it's empty",
                    _ => "it holds no private key (one begins with `-----BEGIN PRIVATE KEY-----`)",
                },
            )),
            Err(error) => Err(self.broken(what, &error)),
        }
    }

    fn encrypted(&self) -> Error {
        self.error(
            "private key",
            "it's encrypted (`openssl pkey -in encrypted.pem -out plain.pem` decrypts it; keep the result readable by this user only)",
        )
    }

    fn read(&self, what: &str) -> Result<Cow<'_, [u8]>> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(Cow::Borrowed(without_mark(bytes))),
            Self::File(path) => path,
        };
        let text = fs::read(path).map(|text| Cow::Owned(without_mark(&text).to_vec()));
        text.map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => "there's no such file".into(),
                io::ErrorKind::PermissionDenied => "this user may not read it".into(),
                io::ErrorKind::IsADirectory => "it's a folder".into(),
                _ => error.to_string(),
            };
            self.error(what, &reason).with_source(error)
        })
    }

    fn broken(&self, what: &str, error: &pem::Error) -> Error {
        // What the error quotes may be a line that holds a whole key.
        let reason = match error {
            pem::Error::MissingSectionEnd { end_marker } if is_label(end_marker) => {
                format!(
                    "its PEM is cut off: `-----END {}-----` is missing",
                    String::from_utf8_lossy(end_marker)
                )
            }
            pem::Error::MissingSectionEnd { .. } | pem::Error::IllegalSectionStart { .. } => {
                "its PEM is broken: `-----BEGIN ..-----` isn't a line of its own (are the ends of the lines gone?)".to_owned()
            }
            pem::Error::Base64Decode(_) => {
                "its PEM is broken: what's between `BEGIN` and `END` isn't base64".to_owned()
            }
            other => format!("its PEM is broken: {other}"),
        };
        self.error(what, &reason)
    }

    /// An error about it.
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

// No key in a log.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without the mark of UTF-8 that some editors put before the first line.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// What there is instead of what was looked for.
enum Sections {
    Nothing,
    /// Bytes that look like a DER sequence.
    Der,
    PrivateKey,
    PublicKey,
    Other,
}

fn sections(text: &[u8]) -> Sections {
    let first = <(SectionKind, Vec<u8>)>::pem_slice_iter(text).find_map(Result::ok);
    match first {
        _ if text.trim_ascii().is_empty() => Sections::Nothing,
        Some((
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey,
            _,
        )) => Sections::PrivateKey,
        Some((SectionKind::PublicKey, _)) => Sections::PublicKey,
        None if is_der(text) => Sections::Der,
        _ => Sections::Other,
    }
}

/// Whether it begins as a DER sequence of a certificate's or a key's length does (X.690 8.1.3).
fn is_der(text: &[u8]) -> bool {
    match text {
        [0x30, 0x81 | 0x82, ..] => true,
        [0x30, length, rest @ ..] => *length < 0x80 && rest.len() == usize::from(*length),
        _ => false,
    }
}

/// Whether it's what stands after `BEGIN`, and nothing else.
fn is_label(text: &[u8]) -> bool {
    text.len() < 32
        && text
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b' ')
}

fn has_certificate(text: &[u8]) -> bool {
    CertificateDer::from_pem_slice(text).is_ok()
}

/// RFC 7468 11, and the form of before (RFC 1421 4.6.1.1).
fn is_encrypted(text: &[u8]) -> bool {
    [
        &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
        b"Proc-Type: 4,ENCRYPTED",
    ]
    .iter()
    .any(|mark| text.windows(mark.len()).any(|window| window == *mark))
}
