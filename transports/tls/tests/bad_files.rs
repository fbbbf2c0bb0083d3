//! Certificates and keys that can't be used: one line at start that says which file, and why. No
//! line holds anything of a key.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod client;
mod programs;
mod scene;

use anyport_core::{ErrorKind, Transport};
use anyport_tcp::Tcp;
use anyport_tls::{ClientAuth, Roots, TlsConfig, TlsExt};
use client::{Authority, Identity};
use programs::{Tests, run};
use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use scene::Folder;
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::ExitCode,
    thread,
};

fn main() -> ExitCode {
    let tests = Tests::default()
        .always("files_that_are_not_there", files_that_are_not_there)
        .always(
            "files_that_hold_something_else",
            files_that_hold_something_else,
        )
        .always("broken_pem", broken_pem)
        .always("a_key_of_another_certificate", a_key_of_another_certificate)
        .always("a_chain_in_the_wrong_order", a_chain_in_the_wrong_order)
        .always(
            "a_chain_with_something_broken_in_it",
            a_chain_with_something_broken_in_it,
        )
        .always(
            "authorities_that_cannot_be_used",
            authorities_that_cannot_be_used,
        )
        .unless(
            no_other_user(),
            "files_that_this_user_may_not_read",
            files_that_this_user_may_not_read,
        );
    tests!(tests, "openssl": encrypted_keys, keys_of_a_kind_that_cannot_be_used, a_public_key).run()
}

/// A certificate and a key that can be used, to be made worse.
struct Files {
    folder: Folder,
    identity: Identity,
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
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

    fn tls(&self) -> impl Transport + use<> {
        over(TlsConfig::from_pem_files(&self.chain, &self.key))
    }

    #[track_caller]
    fn refused_chain(&self, contents: impl AsRef<[u8]>, why: &str) {
        fs::write(&self.chain, contents).unwrap();
        let wanted = format!("cannot use the certificate {}: {why}", self.chain.display());
        assert_eq!(self.error(), wanted);
        fs::write(&self.chain, &self.identity.chain).unwrap();
    }

    #[track_caller]
    fn refused_key(&self, contents: impl AsRef<[u8]>, why: &str) {
        fs::write(&self.key, contents.as_ref()).unwrap();
        let error = self.error();
        assert_eq!(
            error,
            format!("cannot use the private key {}: {why}", self.key.display())
        );
        is_discreet(&error, contents.as_ref());
        fs::write(&self.key, &self.identity.key).unwrap();
    }

    #[track_caller]
    fn error(&self) -> String {
        let error = error_of(&self.tls());
        is_discreet(&error, self.identity.key.as_bytes());
        error
    }
}

fn over(config: TlsConfig) -> impl Transport {
    Tcp::bind("127.0.0.1:0").tls(config)
}

/// The one line of a configuration that can't be used.
#[track_caller]
fn error_of(tls: &impl Transport) -> String {
    let Err(error) = tls.open(1) else {
        panic!("it can be used")
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    let mut text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    let length = text.len();
    // What a log may hold as well.
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!("{error}{error:?}");
        source = error.source();
    }
    text += &format!("{error:?}");
    LAST.with(|last| last.replace(text.clone()));
    text[..length].to_owned()
}

thread_local! {
    /// All that there is of the last error.
    static LAST: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// Whether an error tells nothing of a file, but for the lines that frame PEM.
#[track_caller]
fn is_discreet(error: &str, file: &[u8]) {
    let text = String::from_utf8_lossy(file);
    let all = LAST.with(|last| last.borrow().clone()) + error;
    let secrets = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
    for secret in secrets.filter(|part| part.len() >= 16) {
        assert!(!all.contains(&secret[..16]), "{all} tells of the key");
    }
}

fn files_that_are_not_there() {
    let files = Files::new();
    let (missing, folder) = (
        files.folder.path("missing.pem"),
        files.folder.path("folder"),
    );
    fs::create_dir(&folder).unwrap();
    for (path, why) in [
        (&missing, "there's no such file"),
        (&folder, "it's a folder"),
    ] {
        let text = path.display();
        assert_eq!(
            error_of(&over(TlsConfig::from_pem_files(path, &files.key))),
            format!("cannot use the certificate {text}: {why}")
        );
        assert_eq!(
            error_of(&over(TlsConfig::from_pem_files(&files.chain, path))),
            format!("cannot use the private key {text}: {why}")
        );
    }
}

const BINARY_CERTIFICATE: &str =
    "it's binary, not PEM (`openssl x509 -inform der` makes PEM of a certificate)";
const BINARY_KEY: &str = "it's binary, not PEM (`openssl pkey -inform der` makes PEM of a key)";

fn files_that_hold_something_else() {
    let files = Files::new();
    let Identity {
        chain, key, der, ..
    } = &files.identity;
    for nothing in ["", "\n", " \r\n\t\n"] {
        files.refused_chain(nothing, "it's empty");
        files.refused_key(nothing, "it's empty");
    }
    files.refused_chain(
        key,
        "it holds a private key, no certificate (are the two mixed up?)",
    );
    files.refused_key(
        chain,
        "it holds a certificate, no private key (are the two mixed up?)",
    );
    files.refused_chain(der, BINARY_CERTIFICATE);
    files.refused_key(key_der(key), BINARY_KEY);
    // A short one: Ed25519.
    let short = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    files.refused_key(short.serialize_der(), BINARY_KEY);
    for text in [
        "0 what is this?",
        "hello\n",
        "-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n",
    ] {
        files.refused_chain(
            text,
            "it holds no certificate (one begins with `-----BEGIN CERTIFICATE-----`)",
        );
        files.refused_key(
            text,
            "it holds no private key (one begins with `-----BEGIN PRIVATE KEY-----`)",
        );
    }
}

fn key_der(pem: &str) -> Vec<u8> {
    rcgen::KeyPair::from_pem(pem).unwrap().serialize_der()
}

fn broken_pem() {
    let files = Files::new();
    let Identity { chain, key, .. } = &files.identity;
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    files.refused_chain(
        cut(chain),
        "its PEM is cut off: `-----END CERTIFICATE-----` is missing",
    );
    files.refused_key(
        cut(key),
        "its PEM is cut off: `-----END PRIVATE KEY-----` is missing",
    );
    let not_base64 = "its PEM is broken: what's between `BEGIN` and `END` isn't base64";
    let spoiled = |text: &str| text.replacen("\nM", "\n?", 1);
    files.refused_chain(spoiled(chain), not_base64);
    files.refused_key(spoiled(key), not_base64);
    // As it comes out of a variable that was expanded without quotes.
    let one_line = |text: &str| text.replace('\n', " ");
    let why = "its PEM is broken: `-----BEGIN ..-----` isn't a line of its own (are the ends of the lines gone?)";
    files.refused_chain(one_line(chain), why);
    files.refused_key(one_line(key), why);
    files.refused_key(one_line(key).trim_end(), why);
    files.refused_key(key.replacen("-----\n", "----- ", 1), why);
    files.refused_key(key.replace('\n', ""), why);
    files.refused_key(key.replace('\n', "\\n"), why);
    files.refused_key(
        format!("{key}{key}").replacen("\n-----END", "-----END", 1),
        not_base64,
    );
    // Line ends of any kind, and text around it, are no fault.
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

fn a_key_of_another_certificate() {
    let files = Files::new();
    let other = Authority::new().issue("server", &["localhost"]);
    let why = format!(
        "it does not belong to the certificate {}",
        files.chain.display()
    );
    files.refused_key(other.key, &why);
    let given = TlsConfig::from_pem(&*files.identity.chain, &*Authority::new().localhost().key);
    assert_eq!(
        error_of(&over(given)),
        "cannot use the private key (given as bytes): it does not belong to the certificate (given as bytes)"
    );
}

fn a_chain_in_the_wrong_order() {
    let files = Files::new();
    let chain = format!("{}{}", Authority::new().root_pem(), files.identity.chain);
    fs::write(&files.chain, chain).unwrap();
    assert_eq!(
        files.error(),
        format!(
            "cannot use the private key {}: it belongs to certificate 2 of 2 in {}, but the server's own has to be the \
             first one, followed by its issuers",
            files.key.display(),
            files.chain.display()
        )
    );
}

fn a_chain_with_something_broken_in_it() {
    let files = Files::new();
    let nonsense = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    fs::write(&files.chain, format!("{}{nonsense}", files.identity.chain)).unwrap();
    let error = files.error();
    let wanted = format!(
        "cannot use the certificate {}: certificate 2 of 2 can't be parsed: ",
        files.chain.display()
    );
    assert!(error.starts_with(&wanted), "{error}");
}

fn authorities_that_cannot_be_used() {
    let files = Files::new();
    let path = files.folder.file("roots.pem", &files.identity.key);
    let auth = || ClientAuth::Required(Roots::pem_file(&path));
    let tls = || over(TlsConfig::from_pem_files(&files.chain, &files.key).with_client_auth(auth()));
    let what = format!("cannot use the client authorities {}: ", path.display());
    let error = error_of(&tls());
    assert_eq!(
        error,
        format!("{what}it holds a private key, no certificate (are the two mixed up?)")
    );
    is_discreet(&error, files.identity.key.as_bytes());
    fs::write(&path, "").unwrap();
    assert_eq!(error_of(&tls()), format!("{what}it's empty"));
    fs::remove_file(&path).unwrap();
    assert_eq!(error_of(&tls()), format!("{what}there's no such file"));
}

fn encrypted_keys() {
    let files = Files::new();
    let why = "it's encrypted (`openssl pkey -in encrypted.pem -out plain.pem` decrypts it; keep the result readable by this user only)";
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
        let said = run("openssl", form, &files.identity.key);
        let encrypted = String::from_utf8(said.out).unwrap();
        assert!(encrypted.starts_with(begin), "{encrypted}");
        files.refused_key(encrypted, why);
    }
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let said = run("openssl", arguments, input);
    said.succeeded();
    said.out
}

fn keys_of_a_kind_that_cannot_be_used() {
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
        files.refused_key(&key, "it's broken, or of a kind that can't be used (RSA of 2048 to 8192 bits, ECDSA on P-256 and P-384, and Ed25519 can)");
    }
}

fn a_public_key() {
    let files = Files::new();
    let public = openssl(&["pkey", "-pubout"], files.identity.key.as_bytes());
    files.refused_key(public, "it holds a public key, no private key");
}

fn no_other_user() -> Option<String> {
    let why = "cannot become another user";
    as_nobody(|| ()).is_err().then(|| why.to_owned())
}

/// Runs it on a thread of a user without rights; on this one, if it's that already.
fn as_nobody<T: Send>(body: impl FnOnce() -> T + Send) -> io::Result<T> {
    const NOBODY: u32 = 65534;
    if !geteuid().is_root() {
        return Ok(body());
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            // Of this thread alone: the system calls are, libc's functions of these names are not.
            set_thread_groups(&[])?;
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)?;
            Ok(body())
        });
        thread.join().unwrap()
    })
}

fn files_that_this_user_may_not_read() {
    let files = Files::new();
    fs::set_permissions(files.chain.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&files.chain, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&files.key, Permissions::from_mode(0o000)).unwrap();
    let error = as_nobody(|| error_of(&files.tls())).unwrap();
    let wanted = format!(
        "cannot use the private key {}: this user may not read it",
        files.key.display()
    );
    assert_eq!(error, wanted);
    fs::set_permissions(&files.chain, Permissions::from_mode(0o000)).unwrap();
    let error = as_nobody(|| error_of(&files.tls())).unwrap();
    let wanted = format!(
        "cannot use the certificate {}: this user may not read it",
        files.chain.display()
    );
    assert_eq!(error, wanted);
}
