//! Verifies a server's certificate, and explains why it is refused.
use super::certificate::{has_expired, names};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{cell::RefCell, sync::Arc};
use x509_cert::der::Decode;

thread_local! {
    /// The reason of the latest refusal on this thread.
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The reason of a refusal in `handshake`. rustls verifies within a poll of the handshake, and its
/// own error must stay as it is: it decides which alert the server receives.
pub(crate) fn explained<T>(handshake: impl FnOnce() -> T) -> (T, Option<String>) {
    REASON.take();
    let result = handshake();
    (result, REASON.take())
}

/// rustls's verifier, which leaves the reason of a refusal to [`explained`].
#[derive(Debug)]
pub(super) struct Explaining(Arc<WebPkiServerVerifier>);

impl Explaining {
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Self(verifier)
    }
}

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.inspect_err(|error| {
            if let Error::InvalidCertificate(error) = error {
                REASON.set(reason(error, end_entity, intermediates, server_name));
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// `None`: rustls's own text says it.
fn reason(
    error: &CertificateError,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    server_name: &ServerName<'_>,
) -> Option<String> {
    use CertificateError as E;
    let certificate = x509_cert::Certificate::from_der(end_entity).ok()?;
    let tbs = certificate.tbs_certificate();
    match error {
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            let names = match names(&certificate) {
                names if names.is_empty() => "no name at all (subjectAltName)".to_owned(),
                names => names.join(", "),
            };
            Some(format!(
                "the server's certificate is for {names}, and not for {} (connect by a name that it has, or add this one to it)",
                server_name.to_str()
            ))
        }
        E::Expired | E::ExpiredContext { .. } => {
            let not_after = |certificate: &x509_cert::Certificate| {
                certificate.tbs_certificate().validity().not_after
            };
            let issuers = intermediates.iter().find(|der| has_expired(der));
            let (what, since) = match issuers.filter(|_| !has_expired(end_entity)) {
                Some(issuer) => {
                    let issuer = x509_cert::Certificate::from_der(issuer).ok()?;
                    let subject = issuer.tbs_certificate().subject().to_string();
                    let what = format!("the issuer `{subject}` of the server's certificate");
                    (what, not_after(&issuer))
                }
                None => ("the server's certificate".to_owned(), not_after(&certificate)),
            };
            Some(format!(
                "{what} expired on {since} (renew it, or correct the clock of this machine)"
            ))
        }
        E::NotValidYet | E::NotValidYetContext { .. } => Some(format!(
            "the server's certificate is not valid before {} (correct the clock of this machine, or of the one that issued it)",
            tbs.validity().not_before
        )),
        E::UnknownIssuer | E::Other(_) if tbs.subject() == tbs.issuer() => Some(match error {
            E::UnknownIssuer => "the server's certificate is self-signed (if it is the right one, trust it: `Roots::pem_file`)".to_owned(),
            // A certificate authority that identifies itself as a server.
            _ => format!("the server's certificate is self-signed, and a certificate authority's ({error}): give the server a certificate that is not one (OpenSSL: `-addext basicConstraints=CA:FALSE`)"),
        }),
        E::UnknownIssuer => Some(format!(
            "the issuer of the server's certificate is not trusted: `{}` (trust its root by `Roots::pem_file`, or let the server send the intermediate certificates)",
            tbs.issuer()
        )),
        _ => None,
    }
}
