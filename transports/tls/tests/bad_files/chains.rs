//! Certificates that do not belong together, or to the key.
use crate::{
    client::Authority,
    files::{Files, assert_no_secret, error_of, over},
};
use anyport_tls::{ClientAuth, Roots, TlsConfig};
use std::fs;

pub(crate) fn key_of_another_certificate_is_rejected() {
    let files = Files::new();
    let other = Authority::new().issue("server", &["localhost"]);
    let reason = format!(
        "it does not belong to the certificate {}",
        files.chain.display()
    );
    files.assert_key_error(other.key, &reason);
    let given = TlsConfig::from_pem(&*files.identity.chain, &*Authority::new().localhost().key);
    assert_eq!(
        error_of(&over(given)),
        "cannot use the private key (given as bytes): it does not belong to the certificate (given as bytes)"
    );
}

pub(crate) fn chain_in_the_wrong_order_is_rejected() {
    let files = Files::new();
    let chain = format!("{}{}", Authority::new().root_pem(), files.identity.chain);
    fs::write(&files.chain, chain).unwrap();
    assert_eq!(
        files.error(),
        format!(
            "cannot use the private key {}: it belongs to certificate 2 of 2 in {}, but the server's own must \
             come first, followed by its issuers",
            files.key.display(),
            files.chain.display()
        )
    );
}

pub(crate) fn malformed_certificate_in_a_chain_is_rejected() {
    let files = Files::new();
    let malformed = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    fs::write(&files.chain, format!("{}{malformed}", files.identity.chain)).unwrap();
    let error = files.error();
    let expected = format!(
        "cannot use the certificate {}: certificate 2 of 2 cannot be parsed: ",
        files.chain.display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

pub(crate) fn unusable_client_authorities_are_rejected() {
    let files = Files::new();
    let path = files.folder.file("roots.pem", &files.identity.key);
    let auth = || ClientAuth::Required(Roots::pem_file(&path));
    let tls = || over(TlsConfig::from_pem_files(&files.chain, &files.key).with_client_auth(auth()));
    let what = format!("cannot use the client authorities {}: ", path.display());
    let error = error_of(&tls());
    assert_eq!(
        error,
        format!("{what}it contains a private key and no certificate (are the two swapped?)")
    );
    assert_no_secret(&error, files.identity.key.as_bytes());
    fs::write(&path, "").unwrap();
    assert_eq!(error_of(&tls()), format!("{what}it is empty"));
    fs::remove_file(&path).unwrap();
    assert_eq!(error_of(&tls()), format!("{what}no such file"));
}
