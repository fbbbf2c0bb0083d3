//! Certificates that are not valid now are served, and the operator is warned.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Identity};
use crate::fixture::{EventLog, Folder, TestServer, app, over_tcp};
use anyport_core::{Server, serve_with};
use anyport_tcp::Tcp;
use anyport_tls::{TlsConfig, TlsExt};
use rcgen::date_time_ymd;
use std::io;

struct Case {
    authority: Authority,
    folder: Folder,
    expired: Identity,
    early: Identity,
}

impl Case {
    fn new() -> Self {
        let authority = Authority::new();
        let expired = authority.issue_with(&["localhost"], |params| {
            params.not_after = date_time_ymd(2020, 2, 29);
        });
        let early = authority.issue_with(&["localhost"], |params| {
            params.not_before = date_time_ymd(2999, 12, 31);
        });
        Self {
            authority,
            folder: Folder::new(),
            expired,
            early,
        }
    }

    fn files(&self, identity: &Identity) -> TlsConfig {
        let chain = self.folder.file("chain.pem", &identity.chain);
        TlsConfig::from_pem_files(chain, self.folder.file("key.pem", &identity.key))
    }

    fn warning(&self, state: &str) -> String {
        let chain = self.folder.path("chain.pem");
        format!(
            "the certificate {} {state}: clients will refuse it",
            chain.display()
        )
    }
}

/// The client rejects the certificate when it is presented.
fn client_error(case: &Case, server: &TestServer) -> String {
    let error = server.run(async {
        let stream = server.connect().await;
        let connected = case.authority.client().connect(stream).await;
        connected.map(drop).unwrap_err()
    });
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.to_string()
}

fn warnings(log: &EventLog) -> Vec<String> {
    log.events().warnings.clone()
}

#[test]
fn expired_certificate_is_served_with_a_warning() {
    let case = Case::new();
    let tls = case.files(&case.expired);
    assert_eq!(tls.warnings(), [""; 0], "nothing has been read yet");
    let server = TestServer::start(over_tcp(tls.clone()));
    let warning = case.warning("expired on 2020-02-29T00:00:00Z");
    assert_eq!(tls.warnings(), [&*warning]);
    assert_eq!(warnings(&server.log), [warning]);
    let error = client_error(&case, &server);
    assert!(error.contains("certificate expired"), "{error}");
    server.shut_down();
}

#[test]
fn not_yet_valid_certificate_is_served_with_a_warning() {
    let case = Case::new();
    let tls = case.files(&case.early);
    let server = TestServer::start(over_tcp(tls.clone()));
    let warning = case.warning("is not valid before 2999-12-31T00:00:00Z");
    assert_eq!(tls.warnings(), [&*warning]);
    assert_eq!(warnings(&server.log), [warning]);
    let error = client_error(&case, &server);
    assert!(error.contains("not valid yet"), "{error}");
    server.shut_down();
}

#[test]
fn server_warns_once_for_all_workers() {
    let case = Case::new();
    let tls = case.files(&case.expired);
    let per_core = |tls: TlsConfig| -> Server {
        let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(3);
        serve_with(tcp.tls(tls), app())
    };
    let warning = case.warning("expired on 2020-02-29T00:00:00Z");
    for _ in 0..2 {
        let server = TestServer::start(per_core(tls.clone()));
        let log = server.log.clone();
        server.shut_down();
        assert_eq!(warnings(&log), [&*warning]);
    }
}

#[test]
fn every_certificate_of_a_chain_is_checked() {
    let case = Case::new();
    let good = case.authority.localhost();
    let chain = case
        .folder
        .file("chain.pem", format!("{}{}", good.chain, case.expired.chain));
    let given = case.early.certificate();
    let tls = TlsConfig::from_pem_files(&chain, case.folder.file("key.pem", &good.key))
        .with_certificate(given);
    let server = TestServer::start(over_tcp(tls));
    let wanted = [
        format!(
            "certificate 2 of 2 in {} expired on 2020-02-29T00:00:00Z: clients will refuse it",
            chain.display()
        ),
        "the certificate (given as bytes) is not valid before 2999-12-31T00:00:00Z: clients will refuse it"
            .to_owned(),
    ];
    assert_eq!(warnings(&server.log), wanted);
    server.shut_down();
}

#[test]
fn reload_updates_the_warnings() {
    let case = Case::new();
    let tls = case.files(case.authority.localhost());
    let server = TestServer::start(over_tcp(tls.clone()));
    assert_eq!(tls.warnings(), [""; 0]);
    case.files(&case.expired);
    tls.reload().unwrap();
    assert_eq!(
        tls.warnings(),
        [case.warning("expired on 2020-02-29T00:00:00Z")]
    );
    case.files(case.authority.localhost());
    tls.reload().unwrap();
    assert_eq!(tls.warnings(), [""; 0]);
    server.shut_down();
}
