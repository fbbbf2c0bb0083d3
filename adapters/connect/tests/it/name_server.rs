//! A name server that answers late, or never.
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};

pub(crate) const A: u16 = 1;
pub(crate) const AAAA: u16 = 28;

/// The reply to a query for one type of record.
pub(crate) enum Reply {
    After(Duration, Vec<IpAddr>),
    /// The code of an error: 2 for SERVFAIL, 3 for NXDOMAIN (RFC 1035, section 4.1.1).
    Error(u8),
    Never,
}

/// Starts a server that runs until the process ends.
pub(crate) fn start(reply: impl Fn(u16) -> Reply + Send + 'static) -> SocketAddr {
    let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let question = question(&query[..length]);
            let kind =
                u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
            let (delay, code, addresses) = match reply(kind) {
                Reply::After(delay, addresses) => (delay, 0, addresses),
                Reply::Error(code) => (Duration::ZERO, code, Vec::new()),
                Reply::Never => continue,
            };
            let count = u8::try_from(addresses.len()).unwrap();
            // The header: a response to one question, with answers and no other records.
            let mut response = query[..2].to_vec();
            response.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
            response.extend(question);
            for address in addresses {
                let octets = match address {
                    IpAddr::V6(address) => address.octets().to_vec(),
                    IpAddr::V4(address) => address.octets().to_vec(),
                };
                // The name of the question, the type, class IN, and 60 s to live.
                response.extend([0xc0, 12]);
                response.extend(kind.to_be_bytes());
                response.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(octets.len()).unwrap()]);
                response.extend(octets);
            }
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                thread::sleep(delay);
                let _ = socket.send_to(&response, client);
            });
        }
    });
    address
}

/// The name, type and class that follow the header of 12 bytes.
fn question(query: &[u8]) -> &[u8] {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    &query[12..end + 5]
}
