//! A certificate and a key in files, and the error that a change to them causes.
use crate::{
    client::{Authority, Identity},
    fixture::Folder,
};
use anyport_core::{Transport, error::ErrorKind};
use anyport_tcp::Tcp;
use anyport_tls::{TlsConfig, TlsExt};
use std::{cell::RefCell, error::Error, fs, path::PathBuf};

/// A certificate and a key that are valid, for tests to damage.
pub(crate) struct Files {
    pub(crate) folder: Folder,
    pub(crate) identity: Identity,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let identity = Authority::new().issue("server", &["localhost"]);
        let chain = folder.file("chain.pem", &identity.chain);
        let key = folder.file("key.pem", &identity.key);
        let files = Self {
            folder,
            identity,
            chain,
            key,
        };
        files.tls().open(1).unwrap();
        files
    }

    pub(crate) fn tls(&self) -> impl Transport + use<> {
        over(TlsConfig::from_pem_files(&self.chain, &self.key))
    }

    #[track_caller]
    pub(crate) fn assert_chain_error(&self, contents: impl AsRef<[u8]>, reason: &str) {
        fs::write(&self.chain, contents).unwrap();
        let expected = format!(
            "cannot use the certificate {}: {reason}",
            self.chain.display()
        );
        assert_eq!(self.error(), expected);
        fs::write(&self.chain, &self.identity.chain).unwrap();
    }

    #[track_caller]
    pub(crate) fn assert_key_error(&self, contents: impl AsRef<[u8]>, reason: &str) {
        fs::write(&self.key, contents.as_ref()).unwrap();
        let error = self.error();
        assert_eq!(
            error,
            format!(
                "cannot use the private key {}: {reason}",
                self.key.display()
            )
        );
        assert_no_secret(&error, contents.as_ref());
        fs::write(&self.key, &self.identity.key).unwrap();
    }

    #[track_caller]
    pub(crate) fn error(&self) -> String {
        let error = error_of(&self.tls());
        assert_no_secret(&error, self.identity.key.as_bytes());
        error
    }
}

pub(crate) fn over(config: TlsConfig) -> impl Transport {
    Tcp::bind("127.0.0.1:0").tls(config)
}

/// The error of a configuration that cannot be used. It must be one line.
#[track_caller]
pub(crate) fn error_of(tls: &impl Transport) -> String {
    let Err(error) = tls.open(1) else {
        panic!("the configuration was accepted")
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    let mut text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    let length = text.len();
    // The sources and the debug output, which may be logged as well.
    let mut source = Error::source(&error);
    while let Some(error) = source {
        text += &format!("{error}{error:?}");
        source = error.source();
    }
    text += &format!("{error:?}");
    LAST_ERROR.with(|last| last.replace(text.clone()));
    text[..length].to_owned()
}

thread_local! {
    /// All texts of the last error.
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Asserts that an error contains nothing of a file, except for the lines that frame PEM.
#[track_caller]
pub(crate) fn assert_no_secret(error: &str, file: &[u8]) {
    let text = String::from_utf8_lossy(file);
    let all = LAST_ERROR.with(|last| last.borrow().clone()) + error;
    let secrets = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
    for secret in secrets.filter(|part| part.len() >= 16) {
        assert!(
            !all.contains(&secret[..16]),
            "{all} contains part of the key"
        );
    }
}
