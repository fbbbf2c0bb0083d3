//! A self-signed certificate in files, and the example that serves with it.
use crate::example::Example;
use std::{fs, process::Command};
use tempfile::TempDir;

/// The files `cert.pem` and `key.pem`, in a folder of their own.
pub(crate) struct Certificate {
    names: Vec<String>,
    _folder: TempDir,
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| folder.path().join(name).to_str().unwrap().to_owned();
        let (cert, key) = (file("cert.pem"), file("key.pem"));
        let names = names.iter().map(ToString::to_string).collect();
        let certificate = Self {
            names,
            _folder: folder,
            cert,
            key,
        };
        certificate.renew();
        certificate
    }

    /// Writes another certificate into the files.
    pub(crate) fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(self.names.clone()).unwrap();
        fs::write(&self.cert, made.cert.pem()).unwrap();
        fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
    }

    /// Starts the example `tls` with it.
    pub(crate) fn serve(&self) -> Example {
        let (cert, key) = (&*self.cert, &*self.key);
        let arguments = ["--listen", "127.0.0.1:0", "--cert", cert, "--key", key];
        Example::start("tls", &arguments)
    }

    /// Makes a client trust this certificate instead of the system's authorities in one file. It
    /// finds those in a folder, as OpenSSL does, unless `SSL_CERT_DIR` is removed.
    pub(crate) fn trust(&self, client: &mut Command) {
        client.env("SSL_CERT_FILE", &self.cert);
    }
}
