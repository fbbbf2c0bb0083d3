//! What the references for TLS show and offer: the same as anyport.
//!
//! The defaults of rustls, but for what makes it comparable: ring does the cryptography, and
//! tickets hold the sessions.

use rustls::{
    ServerConfig,
    crypto::ring::{Ticketer, default_provider},
    pki_types::PrivateKeyDer,
};
use std::sync::Arc;

/// With a certificate made at start, ECDSA on P-256; ALPN knows one version of HTTP.
///
/// # Errors
///
/// When there are no random numbers.
pub fn config(http2: bool) -> anyhow::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    // Not rustls's default, which remembers sessions in a table, but the same as anyport's.
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}
