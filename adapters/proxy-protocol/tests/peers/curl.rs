//! `curl --haproxy-protocol`, which sends the header itself.
use crate::{
    client::Authority,
    server::{Served, TRUSTED},
};
use anyport_core::{
    bounds::AppOver,
    transport::{ByteTransport, Endpoint, UnixName},
};
use anyport_proxy_protocol::{Policy, ProxyProtocolExt, Trusted};
use anyport_tcp::Tcp;
use anyport_tls::TlsExt;
use anyport_unix::Unix;
use tokio::process::Command;

/// The output of curl, run without the machine's settings.
async fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--disable", "--noproxy", "*", "--silent", "--show-error"]);
    command.args(["--max-time", "60", "--haproxy-protocol"]);
    let output = command
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap()
}

async fn names<T>(transport: T, scheme: &str)
where
    T: ByteTransport,
    crate::server::App: AppOver<T>,
{
    let served = Served::start(transport);
    let url = format!("{scheme}://{}/", served.addr());
    // The second request uses the same connection, and has no header.
    let arguments = ["--interface", TRUSTED[0], "--insecure", &url, &url];
    let answer = curl(&arguments).await;
    let wanted = "peer=127.0.0.2 proxy=Some(\"127.0.0.2\")";
    assert_eq!(answer.matches(wanted).count(), 2, "{answer}");
    assert_eq!(served.events.take(), [""; 0]);
}

pub(crate) async fn client_is_named_over_tcp_and_tls() {
    let transport = || Tcp::bind("127.0.0.1:0").proxy_protocol(Policy::required_from(TRUSTED));
    names(transport(), "http").await;
    names(transport().tls(Authority::new().server()), "https").await;
}

pub(crate) async fn unix_socket_has_no_client_to_name() {
    let folder = tempfile::tempdir().unwrap();
    let transport = Unix::bind(folder.path().join("s"));
    let served = Served::start(transport.proxy_protocol(Policy::required_from(Trusted::unix())));
    let Endpoint::Unix(UnixName::Path(path)) = &served.handle.endpoints()[0] else {
        panic!("a path");
    };
    let arguments = ["--unix-socket", path.to_str().unwrap(), "http://localhost/"];
    let answer = curl(&arguments).await;
    assert!(answer.contains("peer=unix: proxy=None"), "{answer}");
}
