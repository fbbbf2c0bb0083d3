//! nginx as the target, and curl as the client.
use super::ProxyUnderTest;
use crate::example::{TIMEOUT, reserved_address};
use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// nginx with a folder of files, killed when it is dropped.
struct Nginx {
    child: Child,
    addr: String,
    folder: TempDir,
    _reserved: TcpSocket,
}

impl Nginx {
    fn start() -> Self {
        // nginx takes no listening socket of others, and no port 0.
        let (addr, reserved) = reserved_address();
        let addr = addr.to_string();
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr crit;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; client_max_body_size 64m; client_body_temp_path {at}/1;\n\
             proxy_temp_path {at}/2; fastcgi_temp_path {at}/3; uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;\n\
             gzip on; gzip_min_length 1; gzip_types text/plain; default_type text/plain;\n\
             server {{ listen {addr} reuseport; root {at}/files;\n\
             location = /moved {{ return 301 /file; }}\n\
             location = /echo {{ add_header X-Length $content_length; add_header X-Forwarded $http_forwarded;\n\
             return 200 \"$request_method $host\"; }} }} }}\n"
        );
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("file"), "some text\n".repeat(100_000)).unwrap();
        let file = format!("{at}/configuration");
        fs::write(&file, configuration).unwrap();
        let child = Command::new("nginx")
            .args(["-c", &file])
            .stdout(Stdio::null())
            .spawn();
        let nginx = Self {
            child: child.unwrap(),
            addr,
            folder,
            _reserved: reserved,
        };
        let by = Instant::now() + TIMEOUT;
        while TcpStream::connect(&nginx.addr).is_err() {
            assert!(Instant::now() < by, "nginx does not listen");
            std::thread::yield_now();
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// curl's output with the head of the response.
fn curl(addr: &str, path: &str, options: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-i", "--max-time", &TIMEOUT.as_secs().to_string()])
        .args(options);
    let output = curl.arg(format!("http://{addr}{path}")).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path} {options:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn nginx_answers_as_it_does_directly() {
    let nginx = Nginx::start();
    let proxy = ProxyUnderTest::start(&format!("http://{}", nginx.addr));
    let upload = nginx.folder.path().join("upload");
    fs::write(&upload, vec![7; 1 << 20]).unwrap();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (path, options) in requests(&upload) {
            let host = ["-H", "Host: example.com", version];
            let options = [&options, &host[..]].concat();
            let direct = [&options[..], &["--http1.1"]].concat();
            let got = comparable(&curl(&proxy.example.endpoint, path, &options));
            let wanted = comparable(&curl(&nginx.addr, path, &direct));
            assert_eq!(got, wanted, "{path} {options:?}");
        }
    }
    proxy.end();
}

fn requests(upload: &Path) -> Vec<(&'static str, Vec<&str>)> {
    let upload = upload.to_str().unwrap();
    vec![
        ("/file", vec![]),
        ("/file", vec!["-I"]),
        ("/file", vec!["-r", "10-19"]),
        ("/file", vec!["-H", "Accept-Encoding: gzip", "--compressed"]),
        ("/missing", vec![]),
        ("/moved", vec![]),
        ("/echo", vec!["-T", upload]),
        ("/echo", vec!["-T", upload, "-H", "Expect: 100-continue"]),
        ("/echo", vec!["-X", "DELETE"]),
    ]
}

/// The last response: its status, its fields in order of their names, and its body. Without what
/// differs by time, by version and by hop.
fn comparable(text: &str) -> (String, Vec<String>, String) {
    let mut rest = text;
    let (head, body) = loop {
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        // Interim responses are the server's own.
        match head.split(' ').nth(1) == Some("100") {
            true => rest = body,
            false => break (head, body),
        }
    };
    let (line, fields) = head.split_once("\r\n").unwrap();
    let status = line.split(' ').nth(1).unwrap().to_owned();
    let mut fields: Vec<_> = fields.lines().map(str::to_ascii_lowercase).collect();
    let hop = [
        "connection:",
        "date:",
        "transfer-encoding:",
        "content-length:",
        "x-forwarded:",
    ];
    fields.retain(|field| !hop.iter().any(|name| field.starts_with(name)));
    fields.sort();
    (status, fields, body.to_owned())
}
