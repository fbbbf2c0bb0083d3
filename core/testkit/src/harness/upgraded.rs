//! Clients whose HTTP/1 connection is upgraded to an echo.
use crate::{client::Client, harness::test_server::TestServer};

pub(crate) const UPGRADE: &str =
    "GET /upgrade HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// A client whose connection echoes.
pub(crate) async fn upgraded(server: &TestServer) -> Client {
    let mut client = server.client().await;
    client.send(UPGRADE).await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.header("upgrade")), (101, Some("echo")));
    client
}

pub(crate) async fn assert_echo(client: &mut Client, text: &str) {
    client.try_send(text).await.unwrap();
    assert_eq!(client.exactly(text.len()).await.unwrap(), text);
}
