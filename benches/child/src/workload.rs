//! What every server of the bench answers: the load asks for it, the servers give it, and the gate compares both with this.

use std::{fmt, str::FromStr};

/// What's asked of a server, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// `GET /`: 13 bytes of text, as hyper's own examples answer.
    Plaintext,
    /// `GET /json`: an object, written anew for each request.
    Json,
    /// `POST /echo` with 4 KiB: the server reads them all, and sends them back.
    Echo,
    /// `GET /download/64k`: 64 KiB of one buffer that's made at start.
    Download64K,
    /// `GET /download/1m`: the same with 1 MiB.
    Download1M,
    /// `POST /upload` with 1 MiB: the server collects them, and answers how many bytes it had.
    Upload1M,
    /// `GET /websocket`: an upgrade (RFC 6455), and then each message of 13 bytes comes back.
    WebSocket,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Plaintext,
        Self::Json,
        Self::Echo,
        Self::Download64K,
        Self::Download1M,
        Self::Upload1M,
        Self::WebSocket,
    ];

    /// As the command line and the tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Json => "json",
            Self::Echo => "echo-4k",
            Self::Download64K => "download-64k",
            Self::Download1M => "download-1m",
            Self::Upload1M => "upload-1m",
            Self::WebSocket => "websocket",
        }
    }

    /// Where in the app it lies.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Plaintext => PLAINTEXT,
            Self::Json => JSON,
            Self::Echo => ECHO,
            Self::Download64K => DOWNLOAD_64K,
            Self::Download1M => DOWNLOAD_1M,
            Self::Upload1M => UPLOAD_1M,
            Self::WebSocket => WEBSOCKET,
        }
    }

    /// The body that's sent, which is nothing for all that are asked with GET.
    #[must_use]
    pub fn request_body(self) -> Vec<u8> {
        match self {
            Self::Echo => bytes(4 * 1024),
            Self::Upload1M => bytes(MIB),
            _ => Vec::new(),
        }
    }

    /// The `content-type` of the answer. None for the upgrade.
    #[must_use]
    pub fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Plaintext | Self::Upload1M => Some("text/plain; charset=utf-8"),
            Self::Json => Some("application/json"),
            Self::Echo | Self::Download64K | Self::Download1M => Some("application/octet-stream"),
            Self::WebSocket => None,
        }
    }

    /// The body of the answer; for the upgrade, the message that comes back.
    #[must_use]
    pub fn response_body(self) -> Vec<u8> {
        match self {
            Self::Plaintext | Self::WebSocket => HELLO.as_bytes().to_vec(),
            Self::Json => format!(r#"{{"message":"{HELLO}"}}"#).into_bytes(),
            Self::Echo => self.request_body(),
            Self::Download64K => bytes(64 * 1024),
            Self::Download1M => bytes(MIB),
            Self::Upload1M => MIB.to_string().into_bytes(),
        }
    }
}

/// The paths.
pub const PLAINTEXT: &str = "/";
/// See [`Workload::Json`].
pub const JSON: &str = "/json";
/// See [`Workload::Echo`].
pub const ECHO: &str = "/echo";
/// See [`Workload::Download64K`].
pub const DOWNLOAD_64K: &str = "/download/64k";
/// See [`Workload::Download1M`].
pub const DOWNLOAD_1M: &str = "/download/1m";
/// See [`Workload::Upload1M`].
pub const UPLOAD_1M: &str = "/upload";
/// See [`Workload::WebSocket`].
pub const WEBSOCKET: &str = "/websocket";
/// What a WebSocket of tungstenite's reads into: by default it's 128 KiB, which it fills with zeros before each read, and keeps while it waits.
pub const WEBSOCKET_BUFFER: usize = 4096;
/// What an upload has, and a download.
pub const MIB: usize = 1024 * 1024;
/// The text, and JSON's `message`.
pub const HELLO: &str = "Hello, World!";

/// So many bytes, in which a piece that's lost or moved shows: their period is no power of two.
fn bytes(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("`{text}` is no workload; there are {names}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Workload;

    #[test]
    fn a_workload_is_read_as_it_is_written() {
        for workload in Workload::ALL {
            assert_eq!(workload.to_string().parse(), Ok(workload));
        }
    }

    #[test]
    fn what_is_no_workload_is_told_which_there_are() {
        let error = "jason".parse::<Workload>().unwrap_err();
        assert!(error.contains("plaintext, json, echo-4k"), "{error}");
    }

    #[test]
    fn bodies_have_the_sizes_of_their_names() {
        assert_eq!(Workload::Echo.request_body().len(), 4096);
        assert_eq!(Workload::Download64K.response_body().len(), 65_536);
        assert_eq!(Workload::Download1M.response_body().len(), 1_048_576);
    }
}
