//! What's said over a connection, made once per load: the bytes of a request, and what its answer
//! has to be.

use crate::scanner::Scanner;
use anyport_bench_child::{Address, Workload};
use std::sync::Arc;

/// The client's nonce of RFC 6455 1.3, for which the answer stands there, too; nothing needs a
/// random one here.
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server makes of it.
pub(crate) const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The same for all connections of a load.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    /// What asks for another protocol, before the first request.
    pub(crate) upgrade: Option<Vec<u8>>,
    /// A whole one, body included.
    pub(crate) request: Vec<u8>,
    /// The same for the last one of a connection.
    pub(crate) last_request: Vec<u8>,
    answer: Arc<[u8]>,
}

impl Conversation {
    pub(crate) fn new(address: &Address, workload: Workload) -> Self {
        let host = match address {
            Address::Tcp(address) | Address::Tls(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let answer = workload.response_body().into();
        if workload == Workload::WebSocket {
            let upgrade = format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WEBSOCKET_KEY}\r\n"
            );
            let message = text_frame(&workload.response_body());
            return Self {
                upgrade: Some(request(workload, &host, &upgrade)),
                last_request: message.clone(),
                request: message,
                answer,
            };
        }
        Self {
            upgrade: None,
            request: request(workload, &host, ""),
            // No client sends large bodies on connections of their own here.
            last_request: match workload.upload() {
                0 => request(workload, &host, "Connection: close\r\n"),
                _ => Vec::new(),
            },
            answer,
        }
    }

    /// What looks at the answers of one connection.
    pub(crate) fn scanner(&self) -> Scanner {
        match self.upgrade {
            None => Scanner::responses(Arc::clone(&self.answer)),
            Some(_) => Scanner::messages(&self.answer),
        }
    }
}

/// As short as HTTP/1.1 allows, with `headers` besides.
fn request(workload: Workload, host: &str, headers: &str) -> Vec<u8> {
    let body = workload.request_body();
    let path = workload.path();
    let (method, length) = match body.len() {
        0 => ("GET", String::new()),
        length => ("POST", format!("Content-Length: {length}\r\n")),
    };
    let own = workload.request_headers();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{own}{length}\r\n");
    [head.as_bytes(), &body].concat()
}

/// A whole message of a client (RFC 6455 5.2), which has to be masked; any mask will do where
/// nobody listens in.
fn text_frame(text: &[u8]) -> Vec<u8> {
    const FINAL_TEXT: u8 = 0x81;
    const MASKED: u8 = 0x80;
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let length = text.len() as u8;
    let masked = text
        .iter()
        .zip(MASK.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    [FINAL_TEXT, MASKED | length]
        .into_iter()
        .chain(MASK)
        .chain(masked)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Conversation, text_frame};
    use anyport_bench_child::{Address, Workload};

    fn conversation(workload: Workload) -> Conversation {
        Conversation::new(&Address::Tcp(([127, 0, 0, 1], 80).into()), workload)
    }

    #[test]
    fn a_request_is_as_short_as_it_can_be() {
        let plaintext = conversation(Workload::Plaintext);
        assert_eq!(
            plaintext.request,
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"
        );
        let last = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nConnection: close\r\n\r\n";
        assert_eq!(plaintext.last_request, last);
    }

    #[test]
    fn a_body_is_sent_with_its_length() {
        let request = conversation(Workload::Echo).request;
        let head = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Length: 4096\r\n\r\n";
        assert!(request.starts_with(head));
        assert_eq!(request[head.len()..], Workload::Echo.request_body());
    }

    #[test]
    fn a_frame_is_that_of_the_rfc() {
        // RFC 6455 5.7, "a single-frame masked text message".
        let hello = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(text_frame(b"Hello"), hello);
    }
}
