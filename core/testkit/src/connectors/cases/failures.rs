//! Targets that cannot be connected to: each is a clear error of the right kind.
use super::cases;
use crate::connectors::{ConnectorSubject, fixture::Fixture};
use anyport_core::transport::{Connector, Endpoint, Target, UnixName};
use std::io::ErrorKind;

cases![
    refusing_endpoint_is_connection_refused_and_named,
    endpoint_of_another_kind_is_unsupported,
    unnamed_unix_socket_is_an_error,
];

/// The kind and the text of the error that both phases return.
async fn error_of<S: ConnectorSubject>(
    fixture: &Fixture<S>,
    target: Target,
) -> (ErrorKind, String) {
    let connecting = fixture.client(target, |client| async move {
        let connected = client.connect().await;
        connected.map(drop).map_err(|e| (e.kind(), e.to_string()))
    });
    connecting.await.expect_err("nothing listens there")
}

async fn refusing_endpoint_is_connection_refused_and_named<S: ConnectorSubject>(
    fixture: Fixture<S>,
) {
    let target = fixture.subject().refusing();
    let (kind, text) = error_of(&fixture, target.clone()).await;
    assert_eq!(kind, ErrorKind::ConnectionRefused, "{text}");
    assert!(
        text.contains(&format!("cannot connect to {target}: ")),
        "{text}"
    );
}

async fn endpoint_of_another_kind_is_unsupported<S: ConnectorSubject>(fixture: Fixture<S>) {
    let target = fixture.subject().unsupported();
    // The connector is made for a target of the right kind.
    let other = target.clone();
    let connecting = fixture.client(fixture.subject().refusing(), |client| async move {
        let connected = client.connector.connect(&other).await;
        connected.map(drop).map_err(|e| (e.kind(), e.to_string()))
    });
    let (kind, text) = connecting.await.expect_err("it is of another kind");
    assert!(
        matches!(kind, ErrorKind::Unsupported | ErrorKind::InvalidInput),
        "{kind}: {text}"
    );
    let expected = format!("cannot connect to {target}: this connector ");
    assert!(text.starts_with(&expected), "{text}");
}

async fn unnamed_unix_socket_is_an_error<S: ConnectorSubject>(fixture: Fixture<S>) {
    let unnamed = Target::new(Endpoint::Unix(UnixName::Unnamed));
    let connecting = fixture.client(fixture.subject().refusing(), |client| async move {
        let connected = client.connector.connect(&unnamed).await;
        connected.map(drop).map_err(|e| (e.kind(), e.to_string()))
    });
    let (kind, text) = connecting.await.expect_err("it has no name");
    assert!(
        matches!(kind, ErrorKind::Unsupported | ErrorKind::InvalidInput),
        "{kind}: {text}"
    );
}
