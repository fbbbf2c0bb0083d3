//! Keys that cannot be used: encrypted, of an unsupported type, or public.
use crate::{files::Files, programs::run};

pub(crate) fn encrypted_keys_are_rejected() {
    let files = Files::new();
    let reason = "it is encrypted (`openssl pkey -in encrypted.pem -out plain.pem` decrypts it; keep the result readable by this user only)";
    for (form, begin) in [
        (
            &["pkcs8", "-topk8", "-passout", "pass:x"][..],
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        ),
        (
            &["ec", "-aes128", "-passout", "pass:x"][..],
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED",
        ),
    ] {
        let output = run("openssl", form, &files.identity.key);
        let encrypted = String::from_utf8(output.out).unwrap();
        assert!(encrypted.starts_with(begin), "{encrypted}");
        files.assert_key_error(encrypted, reason);
    }
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run("openssl", arguments, input);
    output.succeeded();
    output.out
}

pub(crate) fn unsupported_key_types_are_rejected() {
    let files = Files::new();
    let parameters = openssl(&["dsaparam", "1024"], b"");
    let parameters = files.folder.file("dsa.params", parameters);
    let keys = [
        openssl(
            &["genpkey", "-paramfile", parameters.to_str().unwrap()],
            b"",
        ),
        openssl(&["genpkey", "-algorithm", "ed448"], b""),
        openssl(
            &[
                "genpkey",
                "-algorithm",
                "rsa",
                "-pkeyopt",
                "rsa_keygen_bits:1024",
            ],
            b"",
        ),
        openssl(
            &[
                "genpkey",
                "-algorithm",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:secp256k1",
            ],
            b"",
        ),
        openssl(
            &[
                "genpkey",
                "-algorithm",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:secp521r1",
            ],
            b"",
        ),
    ];
    for key in keys {
        files.assert_key_error(&key, "it is malformed or of an unsupported type (supported: RSA of 2048 to 8192 bits, ECDSA on P-256 and P-384, Ed25519)");
    }
}

pub(crate) fn public_key_as_private_key_is_rejected() {
    let files = Files::new();
    let public = openssl(&["pkey", "-pubout"], files.identity.key.as_bytes());
    files.assert_key_error(public, "it contains a public key and no private key");
}
