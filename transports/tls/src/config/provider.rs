//! The cryptography providers.
use rustls::{crypto::CryptoProvider, server::ProducesTickets};
use std::sync::Arc;

/// The cryptography provider: a variant for each feature of this crate that enables one.
///
/// The default is `Ring` if its feature is enabled, otherwise `AwsLcRs`. README.md compares them.
/// Without either feature, only [`TlsConfig::from_rustls`](crate::TlsConfig::from_rustls) works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// [ring](https://docs.rs/ring).
    #[cfg(feature = "ring")]
    Ring,
    /// [aws-lc-rs](https://docs.rs/aws-lc-rs), which also has a post-quantum key exchange
    /// (X25519MLKEM768).
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
}

#[cfg_attr(
    not(any(feature = "ring", feature = "aws-lc-rs")),
    expect(unreachable_code, reason = "no provider is enabled")
)]
impl Provider {
    /// The provider if none is selected. `None`: no feature enables one.
    pub(super) const DEFAULT: Option<Self> = match () {
        #[cfg(feature = "ring")]
        () => Some(Self::Ring),
        #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
        () => Some(Self::AwsLcRs),
        #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
        () => None,
    };

    /// A rustls provider, for a configuration of your own.
    #[must_use]
    pub fn rustls(self) -> Arc<CryptoProvider> {
        Arc::new(match self {
            #[cfg(feature = "ring")]
            Self::Ring => rustls::crypto::ring::default_provider(),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => rustls::crypto::aws_lc_rs::default_provider(),
        })
    }

    pub(super) fn ticketer(self) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        match self {
            #[cfg(feature = "ring")]
            Self::Ring => rustls::crypto::ring::Ticketer::new(),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => rustls::crypto::aws_lc_rs::Ticketer::new(),
        }
    }
}
