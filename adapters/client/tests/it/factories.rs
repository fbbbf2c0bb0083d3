//! Connection factories: fixed endpoints on other transports, and functions.
use crate::{
    kit::{get, on_tokio, text},
    server::Served,
};
use anyport_client::{Builder, Client, Fixed, MakeConnection, Origin, PoolKey, make_connection_fn};
use anyport_core::{
    Body,
    transport::{Connector, Target},
};
use anyport_memory::Memory;
use anyport_tcp::TcpConnector;
use anyport_testkit::requirements::Tests;
use anyport_unix::{Unix, UnixConnector};
use http::Request;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

pub(crate) fn tests(tests: Tests) -> Tests {
    tests
        .always("fixed_endpoint_is_a_unix_socket", || {
            on_tokio(fixed_endpoint_is_a_unix_socket);
        })
        .always("fixed_endpoint_is_in_memory", || {
            on_tokio(fixed_endpoint_is_in_memory);
        })
        .always("function_makes_connections", || {
            on_tokio(function_makes_connections);
        })
        .always("error_of_a_function_names_the_origin", || {
            on_tokio(error_of_a_function_names_the_origin);
        })
}

/// Any host is this endpoint.
async fn shares_a_connection<F>(builder: Builder<F>)
where
    F: MakeConnection<Future: Send, Connection: Send> + Send + Sync,
{
    let client: Client<F> = builder.max_per_origin(1).build();
    for n in 0..3 {
        let request = Request::post("http://any.test/").body(Body::from(n.to_string()));
        assert_eq!(
            text(&client, request.unwrap()).await.unwrap(),
            n.to_string()
        );
    }
    assert_eq!((client.counts().opened, client.counts().reused), (1, 2));
}

async fn fixed_endpoint_is_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Unix::bind(folder.path().join("socket")), |server| server);
    let endpoint = served.handle.endpoints()[0].clone();
    shares_a_connection(Client::builder(Fixed::new(UnixConnector::new(), endpoint))).await;
}

async fn fixed_endpoint_is_in_memory() {
    let memory = Memory::new();
    let connector = memory.connector();
    let _served = Served::start(memory, |server| server);
    let endpoint = connector.endpoint().clone();
    shares_a_connection(Client::builder(Fixed::new(connector, endpoint))).await;
}

async fn function_makes_connections() {
    let served = Served::http();
    let port = served.port();
    let origins = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&origins);
    let factory = make_connection_fn(move |origin: &Origin| {
        let key = origin.key().map(|key| key.name().to_owned());
        seen.lock()
            .unwrap()
            .push((origin.host().to_owned(), origin.port(), key));
        let target = Target::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        async move { TcpConnector::new().connect(&target).await?.await }
    });
    let client: Client<_> = Client::builder(factory).build();
    for _ in 0..2 {
        text(&client, get("http://ANY.test/")).await.unwrap();
        let mut request = get("http://any.test:81/");
        request.extensions_mut().insert(PoolKey::new("tenant"));
        text(&client, request).await.unwrap();
    }
    let host = "any.test".to_owned();
    let expected = [
        (host.clone(), 80, None),
        (host, 81, Some("tenant".to_owned())),
    ];
    assert_eq!(*origins.lock().unwrap(), expected);
}

async fn error_of_a_function_names_the_origin() {
    let factory = make_connection_fn(|_: &Origin| async {
        Err::<anyport_tcp::TcpConnection, _>(io::Error::other("no tunnel"))
    });
    let client: Client<_> = Client::builder(factory).build();
    let error = text(&client, get("http://any.test/")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to http://any.test: no tunnel"
    );
}
