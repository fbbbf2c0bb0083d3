//! The requests of the bench, and the response of every server to each.

/// One kind of request, and the response that every server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// `GET /`: 13 bytes of text, as in hyper's examples.
    Plaintext,
    /// `GET /` with the twelve headers that a browser sends.
    Headers,
    /// `GET /json`: an object that is serialized for each request.
    Json,
    /// `POST /echo` with 4 KiB: the server collects the body and sends it back.
    Echo,
    /// `GET /download/64k`: 64 KiB of one buffer that is made at start.
    Download64K,
    /// `GET /download/1m`: the same with 1 MiB.
    Download1M,
    /// `POST /discard` with 64 KiB: the server reads and drops the body, and sends its length.
    Discard64K,
    /// The same with 16 MiB.
    Discard16M,
    /// `POST /upload` with 64 KiB: the server collects the body, and sends its length.
    Collect64K,
    /// The same with 16 MiB.
    Collect16M,
    /// `GET /layers`: an axum route with tower-http layers around it.
    Layers,
    /// `GET /websocket`: an upgrade (RFC 6455); then each text of 16 bytes is echoed.
    WebSocket16,
    /// The same with 4 KiB.
    WebSocket4K,
    /// The same with 1 MiB.
    WebSocket1M,
}

impl Workload {
    /// The path of the request.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Plaintext | Self::Headers => PLAINTEXT,
            Self::Json => JSON,
            Self::Echo => ECHO,
            Self::Download64K => DOWNLOAD_64K,
            Self::Download1M => DOWNLOAD_1M,
            Self::Discard64K | Self::Discard16M => DISCARD,
            Self::Collect64K | Self::Collect16M => UPLOAD,
            Self::Layers => LAYERS,
            Self::WebSocket16 | Self::WebSocket4K | Self::WebSocket1M => WEBSOCKET,
        }
    }

    /// Whether it is an upgrade with messages.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        self.path() == WEBSOCKET
    }

    /// How many bytes the request's body has; 0 for a GET.
    #[must_use]
    pub fn upload(self) -> usize {
        match self {
            Self::Echo => 4 * 1024,
            Self::Discard64K | Self::Collect64K => 64 * 1024,
            Self::Discard16M | Self::Collect16M => LARGEST_UPLOAD,
            _ => 0,
        }
    }

    /// The body of the request.
    #[must_use]
    pub fn request_body(self) -> Vec<u8> {
        bytes(self.upload())
    }

    /// The headers of the request beside `host` and `content-length`, each line with its CRLF.
    #[must_use]
    pub fn request_headers(self) -> &'static str {
        match self {
            Self::Headers => BROWSER,
            _ => "",
        }
    }

    /// The `content-type` of the response. An upgrade has none.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Echo | Self::Download64K | Self::Download1M => "application/octet-stream",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// The body of the response; of a WebSocket, the message that is echoed.
    #[must_use]
    pub fn response_body(self) -> Vec<u8> {
        match self {
            Self::Json => format!(r#"{{"message":"{HELLO}"}}"#).into_bytes(),
            Self::Echo => self.request_body(),
            Self::Download64K => bytes(64 * 1024),
            Self::Download1M => bytes(1024 * 1024),
            Self::Discard64K | Self::Discard16M | Self::Collect64K | Self::Collect16M => {
                self.upload().to_string().into_bytes()
            }
            Self::WebSocket16 => text(16),
            Self::WebSocket4K => text(4 * 1024),
            Self::WebSocket1M => text(LARGEST_MESSAGE),
            _ => HELLO.as_bytes().to_vec(),
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
/// See [`Workload::Discard64K`].
pub const DISCARD: &str = "/discard";
/// See [`Workload::Collect64K`].
pub const UPLOAD: &str = "/upload";
/// See [`Workload::Layers`].
pub const LAYERS: &str = "/layers";
/// See the WebSocket workloads.
pub const WEBSOCKET: &str = "/websocket";
/// The largest body that is sent, for servers that have a limit.
pub const LARGEST_UPLOAD: usize = 16 * 1024 * 1024;
/// The largest message of a WebSocket, for servers that have a limit.
pub const LARGEST_MESSAGE: usize = 1024 * 1024;
/// The text, and JSON's `message`.
pub const HELLO: &str = "Hello, World!";

/// The headers of a GET by Chromium, in its order; with `host`, twelve.
const BROWSER: &str = "\
Connection: keep-alive\r\n\
Cache-Control: max-age=0\r\n\
sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
Sec-Fetch-Site: none\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-US,en;q=0.9\r\n";

/// Bytes whose period is no power of two, so that a lost or moved piece is found.
fn bytes(length: usize) -> Vec<u8> {
    const PERIOD: usize = 251;
    let period: Vec<u8> = (0..PERIOD as u8).collect();
    let mut bytes = period.repeat(length.div_ceil(PERIOD));
    bytes.truncate(length);
    bytes
}

/// The same in printable ASCII, for text messages of WebSockets.
fn text(length: usize) -> Vec<u8> {
    let printable = |byte| b' ' + byte % 95;
    bytes(length).into_iter().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::Workload;

    #[test]
    fn browser_headers_are_twelve_with_host() {
        assert_eq!(
            Workload::Headers.request_headers().matches("\r\n").count() + 1,
            12
        );
    }

    #[test]
    fn bodies_have_the_sizes_of_their_names() {
        assert_eq!(Workload::Echo.request_body().len(), 4096);
        assert_eq!(Workload::Download64K.response_body().len(), 65_536);
        assert_eq!(Workload::Download1M.response_body().len(), 1_048_576);
        assert_eq!(Workload::Discard16M.request_body().len(), 16 << 20);
        assert_eq!(Workload::WebSocket1M.response_body().len(), 1 << 20);
        assert_eq!(Workload::Discard16M.response_body(), b"16777216");
    }
}
