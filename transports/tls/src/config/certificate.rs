//! A certificate with its key: its source, and the result of loading it.
use super::pem::Pem;
use anyport_core::{Error, Result};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use x509_cert::{
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
    time::Time,
};

/// A certificate chain, the server's own first, and the private key that belongs to it.
///
/// Keys are PKCS #8, PKCS #1 (RSA) or SEC1 (ECDSA), unencrypted.
#[derive(Clone, Debug)]
pub struct Certificate(Source);

#[derive(Clone, Debug)]
enum Source {
    Pem {
        chain: Pem,
        key: Pem,
    },
    #[cfg(feature = "self-signed")]
    SelfSigned(Vec<String>),
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Pem { chain, .. } => chain.fmt(f),
            #[cfg(feature = "self-signed")]
            Source::SelfSigned(names) => write!(f, "for {}", names.join(", ")),
        }
    }
}

/// A certificate with a key that belongs to it, ready for rustls.
pub(super) struct LoadedCertificate {
    pub(super) key: Arc<CertifiedKey>,
    /// Its DNS names, which may be wildcards such as `*.example.com`.
    pub(super) names: Vec<String>,
    pub(super) validity: Vec<Validity>,
}

impl Certificate {
    /// From two PEM files, which may be the same file.
    #[must_use]
    pub fn pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (chain, key) = (Pem::File(chain.into()), Pem::File(key.into()));
        Self(Source::Pem { chain, key })
    }

    /// From PEM in memory.
    #[must_use]
    pub fn pem(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let (chain, key) = (
            Pem::Bytes(chain.into().into()),
            Pem::Bytes(key.into().into()),
        );
        Self(Source::Pem { chain, key })
    }

    /// A new self-signed certificate for these DNS names and IP addresses, for development. No
    /// client trusts it. Each start and each reload generates another one.
    #[cfg(feature = "self-signed")]
    #[must_use]
    pub fn self_signed<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self(Source::SelfSigned(
            names.into_iter().map(Into::into).collect(),
        ))
    }

    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<LoadedCertificate> {
        match &self.0 {
            Source::Pem { chain, key } => load_pem(chain, key, provider),
            #[cfg(feature = "self-signed")]
            Source::SelfSigned(names) => {
                let generated = rcgen::generate_simple_self_signed(names.clone());
                let generated = generated.map_err(|error| {
                    let message = format!(
                        "cannot generate a certificate for {}: {error}",
                        names.join(", ")
                    );
                    Error::config(message).with_source(error)
                })?;
                let pem = |text: String| Pem::Bytes(text.into_bytes().into());
                load_pem(
                    &pem(generated.cert.pem()),
                    &pem(generated.signing_key.serialize_pem()),
                    provider,
                )
            }
        }
    }
}

fn load_pem(
    chain_pem: &Pem,
    key_pem: &Pem,
    provider: &CryptoProvider,
) -> Result<LoadedCertificate> {
    let chain = chain_pem.certificates("certificate")?;
    let mut parsed = Vec::new();
    for (n, der) in chain.iter().enumerate() {
        parsed.push(x509_cert::Certificate::from_der(der).map_err(|error| {
            let message = format!(
                "certificate {} of {} cannot be parsed: {error}",
                n + 1,
                chain.len()
            );
            chain_pem.error("certificate", &message).with_source(error)
        })?);
    }
    let key = signing_key(key_pem, key_pem.private_key()?, chain, provider)?;
    match key.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(error) => return Err(key_mismatch(chain_pem, key_pem, &key).with_source(error)),
    }
    let names = parsed.first().map(dns_names).unwrap_or_default();
    let total = parsed.len();
    let validity = parsed.iter().enumerate().map(|(n, certificate)| {
        let validity = certificate.tbs_certificate().validity();
        Validity {
            subject: match total {
                1 => format!("the certificate {chain_pem}"),
                _ => format!("certificate {} of {total} in {chain_pem}", n + 1),
            },
            not_before: validity.not_before,
            not_after: validity.not_after,
        }
    });
    Ok(LoadedCertificate {
        key: Arc::new(key),
        names,
        validity: validity.collect(),
    })
}

fn signing_key(
    pem: &Pem,
    key: PrivateKeyDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey> {
    let key = provider.key_provider.load_private_key(key).map_err(|error| {
        // The providers do not tell a malformed key from an unsupported one.
        let message = "it is malformed or of an unsupported type (supported: RSA of 2048 to 8192 bits, ECDSA on P-256 and P-384, Ed25519)";
        pem.error("private key", message).with_source(error)
    })?;
    Ok(CertifiedKey::new(chain, key))
}

/// The error for a key that belongs to another certificate, which may be in the same file.
fn key_mismatch(chain_pem: &Pem, key_pem: &Pem, key: &CertifiedKey) -> Error {
    let belongs_to = |certificate: &CertificateDer<'static>| {
        let other = CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key.key));
        other.keys_match().is_ok()
    };
    let reason = match key.cert.iter().position(belongs_to) {
        Some(n) => format!(
            "it belongs to certificate {} of {} in {chain_pem}, but the server's own must come first, followed by its issuers",
            n + 1,
            key.cert.len()
        ),
        None => format!("it does not belong to the certificate {chain_pem}"),
    };
    key_pem.error("private key", &reason)
}

/// The DNS names that a certificate is for (RFC 5280 4.2.1.6).
fn dns_names(certificate: &x509_cert::Certificate) -> Vec<String> {
    alternative_names(certificate, |name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    })
}

/// The DNS names and IP addresses that a certificate is for.
pub(super) fn names(certificate: &x509_cert::Certificate) -> Vec<String> {
    alternative_names(certificate, |name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(octets) => match octets.as_bytes().len() {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(octets.as_bytes()).ok()?).to_string()),
            _ => Some(IpAddr::from(<[u8; 16]>::try_from(octets.as_bytes()).ok()?).to_string()),
        },
        _ => None,
    })
}

fn alternative_names(
    certificate: &x509_cert::Certificate,
    text: impl Fn(&GeneralName) -> Option<String>,
) -> Vec<String> {
    let names = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>();
    match names {
        Ok(Some((_, names))) => names.0.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

/// The period in which a certificate is valid.
pub(super) struct Validity {
    subject: String,
    not_before: Time,
    not_after: Time,
}

impl Validity {
    pub(super) fn warning(&self, now: SystemTime) -> Option<String> {
        let Self {
            subject,
            not_before,
            not_after,
        } = self;
        if now > system_time(not_after) {
            Some(format!(
                "{subject} expired on {not_after}: clients will refuse it"
            ))
        } else if now < system_time(not_before) {
            Some(format!(
                "{subject} is not valid before {not_before}: clients will refuse it"
            ))
        } else {
            None
        }
    }
}

/// Whether a certificate's validity has ended.
pub(crate) fn has_expired(der: &[u8]) -> bool {
    x509_cert::Certificate::from_der(der).is_ok_and(|certificate| {
        SystemTime::now() > system_time(&certificate.tbs_certificate().validity().not_after)
    })
}

fn system_time(time: &Time) -> SystemTime {
    UNIX_EPOCH + time.to_unix_duration()
}
