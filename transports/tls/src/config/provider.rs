//! Who does the cryptography.
use rustls::{crypto::CryptoProvider, server::ProducesTickets};
use std::sync::Arc;

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("TLS needs somebody who does the cryptography: turn on the feature `ring` or `aws-lc-rs`");

/// Who does the cryptography. There's one for each feature of this crate that names one.
///
/// The default is `Ring`, if its feature is on, otherwise `AwsLcRs`. README.md says what each costs to build and to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// [ring](https://docs.rs/ring).
    #[cfg(feature = "ring")]
    Ring,
    /// [aws-lc-rs](https://docs.rs/aws-lc-rs), which also has post-quantum key exchange (X25519MLKEM768).
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
}

impl Default for Provider {
    #[cfg(feature = "ring")]
    fn default() -> Self {
        Self::Ring
    }

    #[cfg(not(feature = "ring"))]
    fn default() -> Self {
        Self::AwsLcRs
    }
}

impl Provider {
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
