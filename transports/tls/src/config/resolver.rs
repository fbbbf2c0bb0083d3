//! Selects one of several certificates by the client's server name (SNI).
use super::certificate::LoadedCertificate;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{collections::HashMap, sync::Arc};

/// Selects a certificate by the client's server name.
#[derive(Debug)]
pub(super) struct SniResolver {
    all: Vec<Arc<CertifiedKey>>,
    /// Indices by lower-case name. The name of a wildcard begins with its dot.
    names: HashMap<Box<str>, Vec<usize>>,
}

impl SniResolver {
    pub(super) fn new(certificates: Vec<LoadedCertificate>) -> Self {
        let mut names: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut all = Vec::new();
        for (index, certificate) in certificates.into_iter().enumerate() {
            for name in certificate.names {
                let name = name
                    .strip_prefix('*')
                    .filter(|rest| rest.starts_with('.'))
                    .unwrap_or(&name)
                    .to_ascii_lowercase();
                names.entry(name.into()).or_default().push(index);
            }
            all.push(certificate.key);
        }
        Self { all, names }
    }

    /// The certificates for a name, the preferred ones first. A wildcard matches exactly one label
    /// (RFC 9525 6.3).
    fn for_name(&self, name: &str) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = name.find('.').and_then(|dot| self.names.get(&name[dot..]));
        let exact = self.names.get(&*name);
        exact
            .into_iter()
            .chain(wildcard)
            .flatten()
            .map(|&index| &self.all[index])
    }
}

impl ResolvesServerCert for SniResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let can_verify =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        match hello.server_name() {
            Some(name) if self.all.len() > 1 => self.for_name(name).find(can_verify).cloned(),
            _ => self
                .all
                .iter()
                .find(can_verify)
                .or_else(|| self.all.first())
                .cloned(),
        }
    }
}
