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

/// A certificate that can be used.
pub(super) struct Usable {
    pub(super) key: Arc<CertifiedKey>,
    /// The DNS names that it's for; `*.example.com` is one.
    pub(super) names: Vec<String>,
    pub(super) validity: Vec<Validity>,
}

impl Certificate {
    /// From two files in PEM; they may be one and the same.
    #[must_use]
    pub fn pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (chain, key) = (Pem::File(chain.into()), Pem::File(key.into()));
        Self(Source::Pem { chain, key })
    }

    /// From bytes in PEM.
    #[must_use]
    pub fn pem(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let (chain, key) = (
            Pem::Bytes(chain.into().into()),
            Pem::Bytes(key.into().into()),
        );
        Self(Source::Pem { chain, key })
    }

    /// A new one for these DNS names and IP addresses, made at start and known to nobody: for
    /// development. Each start, and each reload, makes another.
    #[cfg(feature = "self-signed")]
    #[must_use]
    pub fn self_signed<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self(Source::SelfSigned(
            names.into_iter().map(Into::into).collect(),
        ))
    }

    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Usable> {
        match &self.0 {
            Source::Pem { chain, key } => load_pem(chain, key, provider),
            #[cfg(feature = "self-signed")]
            Source::SelfSigned(names) => {
                let made = rcgen::generate_simple_self_signed(names.clone());
                let made = made.map_err(|error| {
                    let what = format!(
                        "cannot make a certificate for {}: {error}",
                        names.join(", ")
                    );
                    Error::config(what).with_source(error)
                })?;
                let pem = |text: String| Pem::Bytes(text.into_bytes().into());
                load_pem(
                    &pem(made.cert.pem()),
                    &pem(made.signing_key.serialize_pem()),
                    provider,
                )
            }
        }
    }
}

fn load_pem(chain_pem: &Pem, key_pem: &Pem, provider: &CryptoProvider) -> Result<Usable> {
    let chain = chain_pem.certificates("certificate")?;
    let mut parsed = Vec::new();
    for (n, der) in chain.iter().enumerate() {
        parsed.push(x509_cert::Certificate::from_der(der).map_err(|error| {
            let what = format!(
                "certificate {} of {} can't be parsed: {error}",
                n + 1,
                chain.len()
            );
            chain_pem.error("certificate", &what).with_source(error)
        })?);
    }
    let key = signing_key(key_pem, key_pem.private_key()?, chain, provider)?;
    match key.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(error) => return Err(mismatch(chain_pem, key_pem, &key).with_source(error)),
    }
    let names = parsed.first().map(names).unwrap_or_default();
    let total = parsed.len();
    let validity = parsed.iter().enumerate().map(|(n, certificate)| {
        let validity = certificate.tbs_certificate().validity();
        Validity {
            what: match total {
                1 => format!("the certificate {chain_pem}"),
                _ => format!("certificate {} of {total} in {chain_pem}", n + 1),
            },
            not_before: validity.not_before,
            not_after: validity.not_after,
        }
    });
    Ok(Usable {
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
        // Which of the two it is, the providers don't say.
        let what = "it's broken, or of a kind that can't be used (RSA of 2048 to 8192 bits, ECDSA on P-256 and P-384, and Ed25519 can)";
        pem.error("private key", what).with_source(error)
    })?;
    Ok(CertifiedKey::new(chain, key))
}

/// What to say of a key that belongs to another certificate; perhaps to another one of the same
/// file.
fn mismatch(chain_pem: &Pem, key_pem: &Pem, key: &CertifiedKey) -> Error {
    let belongs_to = |certificate: &CertificateDer<'static>| {
        let other = CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key.key));
        other.keys_match().is_ok()
    };
    let reason = match key.cert.iter().position(belongs_to) {
        Some(n) => format!(
            "it belongs to certificate {} of {} in {chain_pem}, but the server's own has to be the first one, followed by its issuers",
            n + 1,
            key.cert.len()
        ),
        None => format!("it does not belong to the certificate {chain_pem}"),
    };
    key_pem.error("private key", &reason)
}

/// The DNS names that a certificate is for (RFC 5280 4.2.1.6).
fn names(certificate: &x509_cert::Certificate) -> Vec<String> {
    let Ok(Some((_, names))) = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
    else {
        return Vec::new();
    };
    let dns = names.0.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    });
    dns.collect()
}

/// When a certificate may be used.
pub(super) struct Validity {
    what: String,
    not_before: Time,
    not_after: Time,
}

impl Validity {
    pub(super) fn warning(&self, now: SystemTime) -> Option<String> {
        let Self {
            what,
            not_before,
            not_after,
        } = self;
        if now > at(not_after) {
            Some(format!(
                "{what} expired on {not_after}: clients will refuse it"
            ))
        } else if now < at(not_before) {
            Some(format!(
                "{what} isn't valid before {not_before}: clients will refuse it"
            ))
        } else {
            None
        }
    }
}

/// Whether a certificate's time is over.
pub(crate) fn has_expired(der: &[u8]) -> bool {
    x509_cert::Certificate::from_der(der).is_ok_and(|certificate| {
        SystemTime::now() > at(&certificate.tbs_certificate().validity().not_after)
    })
}

fn at(time: &Time) -> SystemTime {
    UNIX_EPOCH + time.to_unix_duration()
}
