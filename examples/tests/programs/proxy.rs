//! haproxy and nginx, each in a process of its own that listens on Unix sockets.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::UnixStream, time::sleep};

/// Upper bound of every wait. Only a test that hangs reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The address of the app.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    /// An address, and whether it is served over TLS.
    Tcp(String, bool),
    Unix(PathBuf),
}

pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The names of the sockets on which the proxy listens.
    frontends: &'static [&'static str],
    /// The configuration for this folder.
    configuration: fn(&str, &Upstream) -> String,
    arguments: fn(&str) -> Vec<String>,
}

pub(crate) const HAPROXY: Program = Program {
    name: "haproxy",
    frontends: &["front"],
    configuration: |folder, upstream| {
        let server = match upstream {
            Upstream::Tcp(addr, true) => format!("{addr} ssl verify none"),
            Upstream::Tcp(addr, false) => addr.clone(),
            Upstream::Unix(path) => format!("unix@{}", path.display()),
        };
        format!(
            "defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n http-reuse always\n\
             frontend front\n bind unix@{folder}/front\n default_backend back\n\
             backend back\n server app {server}\n"
        )
    },
    arguments: |file| vec!["-db".into(), "-f".into(), file.into()],
};

/// One frontend uses HTTP/1.1 to the app with kept-alive connections, the other HTTP/1.0, which is
/// nginx's default.
pub(crate) const NGINX: Program = Program {
    name: "nginx",
    frontends: &["front", "front-1.0"],
    configuration: |folder, upstream| {
        let (scheme, server) = match upstream {
            Upstream::Tcp(addr, true) => ("https", addr.clone()),
            Upstream::Tcp(addr, false) => ("http", addr.clone()),
            Upstream::Unix(path) => ("http", format!("unix:{}", path.display())),
        };
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log stderr crit;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; client_max_body_size 16m;\n\
             client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;\n\
             uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;\n\
             upstream app {{ server {server}; keepalive 4; }}\n\
             server {{ listen unix:{folder}/front; location / {{ proxy_pass {scheme}://app; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_request_buffering off; }} }}\n\
             server {{ listen unix:{folder}/front-1.0; location / {{ proxy_pass {scheme}://app; }} }} }}\n"
        )
    },
    arguments: |file| vec!["-c".into(), file.into()],
};

/// A running proxy, which is killed when dropped.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) frontends: Vec<PathBuf>,
    _folder: TempDir,
}

impl Proxy {
    /// Starts the proxy, and waits until it listens.
    pub(crate) async fn start(program: &Program, upstream: &Upstream) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        let file = format!("{at}/configuration");
        fs::write(&file, (program.configuration)(at, upstream)).unwrap();
        let mut command = Command::new(program.name);
        command
            .args((program.arguments)(&file))
            .stdout(Stdio::null());
        let proxy = Self {
            child: command.spawn().unwrap(),
            frontends: program
                .frontends
                .iter()
                .map(|front| folder.path().join(front))
                .collect(),
            _folder: folder,
        };
        for front in &proxy.frontends {
            listens(front).await;
        }
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn listens(path: &Path) {
    let by = Instant::now() + TIMEOUT;
    while let Err(error) = UnixStream::connect(path).await {
        assert!(Instant::now() < by, "{}: {error}", path.display());
        sleep(Duration::from_millis(10)).await;
    }
}
