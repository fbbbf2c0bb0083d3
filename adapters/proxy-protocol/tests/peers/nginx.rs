//! `nginx`: as a proxy of streams, and as a proxy of HTTP requests.
use crate::{
    program::{Front, Proxy},
    server::{GET, PROXY, Served, TRUSTED, ask},
};
use anyport_core::{Body, HttpOptions, serve_with};
use anyport_proxy_protocol::{Forwarded, ForwardedLayer, Policy, ProxyProtocolExt};
use anyport_tcp::Tcp;
use anyport_testkit::requirements::needs_program;
use http::{Request, Response};
use std::{convert::Infallible, net::Ipv4Addr, net::SocketAddr, path::Path, process::Command};
use tower::{Layer, service_fn};

const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// The path of the stream module, which is a separate package in Debian.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// The reason to ignore the tests of the stream module.
pub(crate) fn needs_stream() -> Option<String> {
    let missing = || (!Path::new(STREAM).exists()).then(|| "needs libnginx-mod-stream".to_owned());
    needs_program("nginx").or_else(missing)
}

/// Starts nginx with this block, which listens at the given address.
fn start(modules: &str, block: impl FnOnce(SocketAddr, &str) -> String) -> Proxy {
    let front = Front::reserved();
    let folder = front.path("");
    let configuration = format!(
        "{modules}\ndaemon off; master_process off; pid {folder}pid; error_log stderr crit;\n\
         events {{ worker_connections 256; }}\n{}\n",
        block(front.addr(), &folder)
    );
    let file = front.file("configuration", &configuration);
    front.start(Command::new("nginx").args(["-c", &file]))
}

pub(crate) async fn stream_proxy_names_the_client() {
    let transport = Tcp::bind("127.0.0.1:0").proxy_protocol(Policy::required_from(TRUSTED));
    let served = Served::start(transport);
    let to = served.addr();
    let proxy = start(&format!("load_module {STREAM};"), |listen, _| {
        format!(
            "stream {{ server {{ listen {listen} reuseport; proxy_pass {to}; proxy_bind {PROXY}; proxy_protocol on; }} }}"
        )
    });
    for _ in 0..3 {
        let answer = ask(proxy.connect_from(CLIENT).await, GET).await;
        let wanted = "peer=127.0.0.3 proxy=Some(\"127.0.0.2\")";
        assert!(answer.contains(wanted), "{answer}");
    }
    assert_eq!(served.events.take(), [""; 0]);
}

async fn names_the_client(layer: ForwardedLayer, field: &str, value: &str) {
    let app = service_fn(|request: Request<Body>| async move {
        let client = request.extensions().get::<Forwarded>();
        let client = client.map(|forwarded| forwarded.client.to_string());
        let body = format!("client={client:?}");
        Ok::<_, Infallible>(Response::new(Body::from(body)))
    });
    let server = serve_with(Tcp::bind("127.0.0.1:0"), layer.layer(app));
    let handle = server
        .http(HttpOptions::default().with_conn_info())
        .start()
        .unwrap();
    let to = handle.endpoints()[0].socket_addr().unwrap();
    let proxy = start("", |listen, folder| {
        format!(
            "http {{ access_log off; client_body_temp_path {folder}1; proxy_temp_path {folder}2;\n\
             fastcgi_temp_path {folder}3; uwsgi_temp_path {folder}4; scgi_temp_path {folder}5;\n\
             server {{ listen {listen} reuseport; location / {{ proxy_pass http://{to}; proxy_bind {PROXY};\n\
             proxy_set_header {field} {value}; }} }} }}"
        )
    });
    let forged = GET.replace(
        "host: a\r\n",
        &format!("host: a\r\n{field}: for=6.6.6.6\r\n"),
    );
    for request in [GET, &forged] {
        let answer = ask(proxy.connect_from(CLIENT).await, request).await;
        assert!(answer.contains("client=Some(\"127.0.0.3\")"), "{answer}");
    }
    // Without the proxy, the field is not read.
    let direct = tokio::net::TcpStream::connect(to).await.unwrap();
    let answer = ask(direct, forged).await;
    assert!(answer.contains("client=None"), "{answer}");
}

pub(crate) async fn forwarded_field_names_the_client() {
    let layer = ForwardedLayer::forwarded(TRUSTED).unwrap();
    names_the_client(layer, "Forwarded", "\"for=$remote_addr;proto=$scheme\"").await;
}

pub(crate) async fn x_forwarded_for_names_the_client() {
    let layer = ForwardedLayer::x_forwarded_for(TRUSTED).unwrap();
    // nginx appends to the field that the client sent.
    names_the_client(layer, "X-Forwarded-For", "$proxy_add_x_forwarded_for").await;
}
