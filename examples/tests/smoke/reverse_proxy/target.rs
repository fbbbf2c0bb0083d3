//! A target that is strict, and records what the proxy sends it byte by byte.
use crate::example::TIMEOUT;
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// A request as a target received it.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The first line.
    pub(crate) line: String,
    /// The fields in lower case, in their order.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

/// A server for requests that are read strictly.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) requests: Receiver<Received>,
}

impl Target {
    /// Answers each request with these bytes, and keeps the connection open.
    pub(crate) fn start(answer: &'static [u8]) -> Self {
        let (addr, connections) = accept();
        let (sent, requests) = channel();
        thread::spawn(move || {
            for connection in connections {
                let sent = sent.clone();
                thread::spawn(move || {
                    let mut reader = BufReader::new(&connection);
                    while let Some(request) = read_request(&mut reader) {
                        let _ = sent.send(request);
                        if (&connection).write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            url: format!("http://{addr}"),
            requests,
        }
    }

    pub(crate) fn next(&self) -> Received {
        self.requests.recv_timeout(TIMEOUT).unwrap()
    }
}

/// A listener on a free port, and its connections.
pub(crate) fn accept() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (sent, connections) = channel();
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            connection.set_read_timeout(Some(TIMEOUT)).unwrap();
            if sent.send(connection).is_err() {
                return;
            }
        }
    });
    (addr, connections)
}

/// Reads a request. `None`: the connection ended before one.
///
/// It panics at what a strict server would refuse: `Content-Length` and `Transfer-Encoding`
/// together, two of either, and an end in the middle.
pub(crate) fn read_request(from: &mut impl BufRead) -> Option<Received> {
    let mut request = read_head(from)?;
    let all = |name: &str| {
        let fields = request.fields.iter().filter(|(field, _)| field == name);
        fields.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    match (&*all("content-length"), &*all("transfer-encoding")) {
        ([], []) => {}
        ([length], []) => {
            request.body = vec![0; length.parse().unwrap()];
            from.read_exact(&mut request.body).unwrap();
        }
        ([], [coding]) if coding == "chunked" => {
            while let Some(chunk) = read_chunk(from) {
                request.body.extend(chunk);
            }
        }
        framing => panic!("ambiguous framing: {framing:?}"),
    }
    Some(request)
}

pub(crate) fn read_head(from: &mut impl BufRead) -> Option<Received> {
    let line = read_line(from)?;
    let mut fields = Vec::new();
    loop {
        let field = read_line(from).unwrap();
        let Some((name, value)) = field.split_once(':') else {
            assert_eq!(field, "");
            break;
        };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Received {
        line,
        fields,
        body: Vec::new(),
    })
}

/// `None`: the last chunk, and its trailers.
fn read_chunk(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let size = read_line(from).unwrap();
    let mut chunk = vec![0; usize::from_str_radix(&size, 16).unwrap()];
    from.read_exact(&mut chunk).unwrap();
    if chunk.is_empty() {
        while read_line(from).unwrap() != "" {}
        return None;
    }
    assert_eq!(read_line(from).unwrap(), "");
    Some(chunk)
}

/// A line without its end. A line feed alone is no end.
fn read_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let n = from.read_line(&mut line).ok()?;
    (n > 0).then(|| line.strip_suffix("\r\n").unwrap().to_owned())
}
