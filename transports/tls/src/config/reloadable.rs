//! The loaded configuration, which a reload replaces.
use super::certificate::Validity;
use anyport_core::{Error, Result};
use rustls::ServerConfig;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::SystemTime,
};

/// The configuration in use. `None` until the server starts.
#[derive(Default)]
pub(super) struct Reloadable {
    loaded: RwLock<Option<Loaded>>,
    /// Held during a load, so that the configuration that was read last stays in use.
    loading: Mutex<()>,
}

/// The result of a load.
pub(super) struct Loaded {
    config: Arc<ServerConfig>,
    /// The configuration has ALPN protocols of its own, which the server's do not replace.
    has_own_alpn: bool,
    /// Copies with the ALPN protocols of each server that uses this configuration.
    with_alpn: Vec<(&'static [&'static [u8]], Arc<ServerConfig>)>,
    validity: Vec<Validity>,
    /// Warnings that do not depend on the time.
    warnings: Vec<String>,
}

impl Loaded {
    pub(super) fn new(
        config: ServerConfig,
        validity: Vec<Validity>,
        warnings: Vec<String>,
    ) -> Self {
        Self {
            has_own_alpn: !config.alpn_protocols.is_empty(),
            config: Arc::new(config),
            with_alpn: Vec::new(),
            validity,
            warnings,
        }
    }

    pub(super) fn offer(&mut self, alpn: Vec<Vec<u8>>) {
        self.has_own_alpn = true;
        Arc::make_mut(&mut self.config).alpn_protocols = alpn;
    }

    fn find(&self, alpn: &[&[u8]]) -> Option<Arc<ServerConfig>> {
        if self.has_own_alpn {
            return Some(Arc::clone(&self.config));
        }
        let (_, config) = self
            .with_alpn
            .iter()
            .find(|(protocols, _)| *protocols == alpn)?;
        Some(Arc::clone(config))
    }
}

impl Reloadable {
    pub(super) fn load(&self, build: impl FnOnce() -> Result<Loaded>) -> Result<()> {
        let _guard = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = build()?;
        *self.write() = Some(loaded);
        Ok(())
    }

    pub(super) fn current(&self, alpn: &'static [&'static [u8]]) -> Result<Arc<ServerConfig>> {
        if let Some(config) = self.read().as_ref().and_then(|loaded| loaded.find(alpn)) {
            return Ok(config);
        }
        let mut reloadable = self.write();
        let Some(loaded) = reloadable.as_mut() else {
            return Err(Error::config("the TLS configuration has not been loaded"));
        };
        if let Some(config) = loaded.find(alpn) {
            return Ok(config);
        }
        let mut config = ServerConfig::clone(&loaded.config);
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let config = Arc::new(config);
        loaded.with_alpn.push((alpn, Arc::clone(&config)));
        Ok(config)
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let now = SystemTime::now();
        let reloadable = self.read();
        let mut warnings = Vec::new();
        if let Some(loaded) = &*reloadable {
            warnings.extend(
                loaded
                    .validity
                    .iter()
                    .filter_map(|validity| validity.warning(now)),
            );
            warnings.extend(loaded.warnings.iter().cloned());
        }
        warnings
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Loaded>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Loaded>> {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reloadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloadable").finish_non_exhaustive()
    }
}
