//! What the server shows and offers: the same as anyport's.

use rustls::{
    ServerConfig,
    crypto::ring::{Ticketer, default_provider},
    pki_types::PrivateKeyDer,
};
use std::sync::Arc;

/// With a certificate made at start, ECDSA on P-256.
pub(crate) fn config() -> anyhow::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Not rustls's default, which remembers sessions in a table, but the same as anyport's.
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}
