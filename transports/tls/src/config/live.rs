//! The loaded configuration, which a reload replaces.
use super::certificate::Validity;
use anyport_core::{Error, Result};
use rustls::ServerConfig;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::SystemTime,
};

/// The configuration in use; `None` until the server starts.
#[derive(Default)]
pub(super) struct Live {
    loaded: RwLock<Option<Loaded>>,
    /// One at a time, so that the one that reads the files last is the one that's used.
    loading: Mutex<()>,
}

/// What was made of the files.
pub(super) struct Loaded {
    config: Arc<ServerConfig>,
    /// Its protocols to offer have been chosen: they don't follow from what's served.
    chosen: bool,
    /// The same with protocols to offer, for each server that it's used by.
    offering: Vec<(&'static [&'static [u8]], Arc<ServerConfig>)>,
    validity: Vec<Validity>,
    /// What else is to be said of them.
    remarks: Vec<String>,
}

impl Loaded {
    pub(super) fn new(config: ServerConfig, validity: Vec<Validity>, remarks: Vec<String>) -> Self {
        Self {
            chosen: !config.alpn_protocols.is_empty(),
            config: Arc::new(config),
            offering: Vec::new(),
            validity,
            remarks,
        }
    }

    pub(super) fn offer(&mut self, alpn: Vec<Vec<u8>>) {
        self.chosen = true;
        Arc::make_mut(&mut self.config).alpn_protocols = alpn;
    }

    fn find(&self, alpn: &[&[u8]]) -> Option<Arc<ServerConfig>> {
        if self.chosen {
            return Some(Arc::clone(&self.config));
        }
        let (_, config) = self
            .offering
            .iter()
            .find(|(protocols, _)| *protocols == alpn)?;
        Some(Arc::clone(config))
    }
}

impl Live {
    pub(super) fn load(&self, build: impl FnOnce() -> Result<Loaded>) -> Result<()> {
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = build()?;
        *self.write() = Some(loaded);
        Ok(())
    }

    pub(super) fn current(&self, alpn: &'static [&'static [u8]]) -> Result<Arc<ServerConfig>> {
        if let Some(config) = self.read().as_ref().and_then(|loaded| loaded.find(alpn)) {
            return Ok(config);
        }
        let mut live = self.write();
        let Some(loaded) = live.as_mut() else {
            return Err(Error::config("the TLS configuration has not been loaded"));
        };
        if let Some(config) = loaded.find(alpn) {
            return Ok(config);
        }
        let mut config = ServerConfig::clone(&loaded.config);
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let config = Arc::new(config);
        loaded.offering.push((alpn, Arc::clone(&config)));
        Ok(config)
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let now = SystemTime::now();
        let live = self.read();
        let mut warnings = Vec::new();
        if let Some(loaded) = &*live {
            warnings.extend(
                loaded
                    .validity
                    .iter()
                    .filter_map(|validity| validity.warning(now)),
            );
            warnings.extend(loaded.remarks.iter().cloned());
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

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}
