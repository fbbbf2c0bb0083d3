//! Files that are missing, or contain something other than the PEM that is expected.
use crate::{
    client::Identity,
    files::{Files, error_of, over},
};
use anyport_core::Transport;
use anyport_tls::TlsConfig;
use std::fs;

pub(crate) fn missing_files_are_named() {
    let files = Files::new();
    let (missing, folder) = (
        files.folder.path("missing.pem"),
        files.folder.path("folder"),
    );
    fs::create_dir(&folder).unwrap();
    for (path, reason) in [(&missing, "no such file"), (&folder, "it is a directory")] {
        let text = path.display();
        assert_eq!(
            error_of(&over(TlsConfig::from_pem_files(path, &files.key))),
            format!("cannot use the certificate {text}: {reason}")
        );
        assert_eq!(
            error_of(&over(TlsConfig::from_pem_files(&files.chain, path))),
            format!("cannot use the private key {text}: {reason}")
        );
    }
}

const BINARY_CERTIFICATE: &str =
    "it is binary, not PEM (`openssl x509 -inform der` converts a certificate to PEM)";

const BINARY_KEY: &str = "it is binary, not PEM (`openssl pkey -inform der` converts a key to PEM)";

pub(crate) fn other_file_contents_are_described() {
    let files = Files::new();
    let Identity {
        chain, key, der, ..
    } = &files.identity;
    for nothing in ["", "\n", " \r\n\t\n"] {
        files.assert_chain_error(nothing, "it is empty");
        files.assert_key_error(nothing, "it is empty");
    }
    files.assert_chain_error(
        key,
        "it contains a private key and no certificate (are the two swapped?)",
    );
    files.assert_key_error(
        chain,
        "it contains a certificate and no private key (are the two swapped?)",
    );
    files.assert_chain_error(der, BINARY_CERTIFICATE);
    files.assert_key_error(key_der(key), BINARY_KEY);
    // Ed25519 has a short key.
    let short = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    files.assert_key_error(short.serialize_der(), BINARY_KEY);
    for text in [
        "0 what is this?",
        "hello\n",
        "-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n",
    ] {
        files.assert_chain_error(
            text,
            "it contains no certificate (one begins with `-----BEGIN CERTIFICATE-----`)",
        );
        files.assert_key_error(
            text,
            "it contains no private key (one begins with `-----BEGIN PRIVATE KEY-----`)",
        );
    }
}

fn key_der(pem: &str) -> Vec<u8> {
    rcgen::KeyPair::from_pem(pem).unwrap().serialize_der()
}

pub(crate) fn malformed_pem_is_described() {
    let files = Files::new();
    let Identity { chain, key, .. } = &files.identity;
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    files.assert_chain_error(
        cut(chain),
        "its PEM is truncated: `-----END CERTIFICATE-----` is missing",
    );
    files.assert_key_error(
        cut(key),
        "its PEM is truncated: `-----END PRIVATE KEY-----` is missing",
    );
    let not_base64 = "its PEM is malformed: the text between `BEGIN` and `END` is not base64";
    let corrupt = |text: &str| text.replacen("\nM", "\n?", 1);
    files.assert_chain_error(corrupt(chain), not_base64);
    files.assert_key_error(corrupt(key), not_base64);
    // The result of a shell variable that was expanded without quotes.
    let one_line = |text: &str| text.replace('\n', " ");
    let reason = "its PEM is malformed: `-----BEGIN ..-----` is not on a line of its own (were the line endings removed?)";
    files.assert_chain_error(one_line(chain), reason);
    files.assert_key_error(one_line(key), reason);
    files.assert_key_error(one_line(key).trim_end(), reason);
    files.assert_key_error(key.replacen("-----\n", "----- ", 1), reason);
    files.assert_key_error(key.replace('\n', ""), reason);
    files.assert_key_error(key.replace('\n', "\\n"), reason);
    files.assert_key_error(
        format!("{key}{key}").replacen("\n-----END", "-----END", 1),
        not_base64,
    );
    // Line ends of any kind, and text around the PEM, are accepted.
    for change in [
        |text: &str| text.replace('\n', "\r\n"),
        |text: &str| format!("subject=CN = x\n\n{text}\nmore\n"),
        |text: &str| format!("\u{feff}{text}"),
    ] {
        fs::write(&files.chain, change(chain)).unwrap();
        fs::write(&files.key, change(key)).unwrap();
        files.tls().open(1).unwrap();
    }
}
