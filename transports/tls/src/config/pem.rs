//! PEM (RFC 7468), from a file or from memory, and what to say when it isn't what it should be.
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
                Sections::PrivateKey => "it holds a private key, no certificate (are the two mixed up?)",
                Sections::Der => {
                    "it's binary, not PEM (`openssl x509 -inform der` makes PEM of a certificate)"
                }
                Sections::Nothing => "it's empty",
                Sections::Other => "it holds no certificate (one begins with `-----BEGIN CERTIFICATE-----`)",
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
                    Sections::Der => "it's binary, not PEM (`openssl pkey -inform der` makes PEM of a key)",
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
            Self::Bytes(bytes) => return Ok(Cow::Borrowed(bytes)),
            Self::File(path) => path,
        };
        fs::read(path).map(Cow::Owned).map_err(|error| {
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
        let reason = match error {
            pem::Error::MissingSectionEnd { end_marker } => {
                format!(
                    "its PEM is cut off: `{}` is missing",
                    String::from_utf8_lossy(end_marker).trim()
                )
            }
            pem::Error::IllegalSectionStart { line } => {
                format!(
                    "its PEM has a broken line: `{}`",
                    String::from_utf8_lossy(line).trim()
                )
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

/// What there is instead of what was looked for.
enum Sections {
    Nothing,
    /// Bytes that look like a DER sequence.
    Der,
    PrivateKey,
    Other,
}

fn sections(text: &[u8]) -> Sections {
    let first = <(SectionKind, Vec<u8>)>::pem_slice_iter(text).find_map(Result::ok);
    match first {
        _ if text.trim_ascii().is_empty() => Sections::Nothing,
        Some((SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _)) => {
            Sections::PrivateKey
        }
        None if text.starts_with(&[0x30, 0x82]) || text.starts_with(&[0x30, 0x81]) => Sections::Der,
        _ => Sections::Other,
    }
}

fn has_certificate(text: &[u8]) -> bool {
    CertificateDer::from_pem_slice(text).is_ok()
}

/// RFC 7468 11, and the form of before (RFC 1421 4.6.1.1).
fn is_encrypted(text: &[u8]) -> bool {
    [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| text.windows(mark.len()).any(|window| window == *mark))
}
