//! haproxy and nginx, each in a process of its own that listens on Unix sockets.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::UnixStream, time::sleep};

/// Nothing here takes nearly so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where an app is served.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// An address, and whether it speaks TLS there.
    Tcp(String, bool),
    Unix(PathBuf),
}

pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The names of its sockets.
    fronts: &'static [&'static str],
    /// Its configuration in this folder.
    configuration: fn(&str, &Place) -> String,
    arguments: fn(&str) -> Vec<String>,
}

pub(crate) const HAPROXY: Program = Program {
    name: "haproxy",
    fronts: &["front"],
    configuration: |folder, place| {
        let server = match place {
            Place::Tcp(addr, true) => format!("{addr} ssl verify none"),
            Place::Tcp(addr, false) => addr.clone(),
            Place::Unix(path) => format!("unix@{}", path.display()),
        };
        format!(
            "defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n http-reuse always\n\
             frontend front\n bind unix@{folder}/front\n default_backend back\n\
             backend back\n server app {server}\n"
        )
    },
    arguments: |file| vec!["-db".into(), "-f".into(), file.into()],
};

/// One front speaks HTTP/1.1 to the app and keeps its connections, the other HTTP/1.0, which is
/// what nginx does by default.
pub(crate) const NGINX: Program = Program {
    name: "nginx",
    fronts: &["front", "front-1.0"],
    configuration: |folder, place| {
        let (scheme, server) = match place {
            Place::Tcp(addr, true) => ("https", addr.clone()),
            Place::Tcp(addr, false) => ("http", addr.clone()),
            Place::Unix(path) => ("http", format!("unix:{}", path.display())),
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

/// A running proxy; killed when it's dropped.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) fronts: Vec<PathBuf>,
    _folder: TempDir,
}

impl Proxy {
    /// Until it listens.
    pub(crate) async fn start(program: &Program, place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        let file = format!("{at}/configuration");
        fs::write(&file, (program.configuration)(at, place)).unwrap();
        let mut command = Command::new(program.name);
        command
            .args((program.arguments)(&file))
            .stdout(Stdio::null());
        let proxy = Self {
            child: command.spawn().unwrap(),
            fronts: program
                .fronts
                .iter()
                .map(|front| folder.path().join(front))
                .collect(),
            _folder: folder,
        };
        for front in &proxy.fronts {
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
    let by = Instant::now() + PATIENCE;
    while let Err(error) = UnixStream::connect(path).await {
        assert!(Instant::now() < by, "{}: {error}", path.display());
        sleep(Duration::from_millis(10)).await;
    }
}
