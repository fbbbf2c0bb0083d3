//! Hand-made HTTP/2 frames, for behaviour that the h2 crate does not have.
use crate::client::Client;
use bytes::BytesMut;

/// The client's preface and its empty SETTINGS (RFC 9113 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// An acknowledgement of the server's SETTINGS (RFC 9113 6.5).
pub(crate) const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
/// RFC 9113 6.7
pub(crate) const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";

/// RFC 9113 4.1
pub(crate) fn next_frame(bytes: &mut BytesMut) -> Option<BytesMut> {
    let [a, b, c] = *bytes.first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    (bytes.len() >= 9 + length).then(|| bytes.split_to(9 + length))
}

/// Acknowledges a frame of the server if it is a PING (RFC 9113 6.7).
pub(crate) async fn acknowledge_ping(client: &mut Client, frame: &[u8]) {
    if frame[3..5] == [6, 0] {
        let mut acknowledgement = BytesMut::from(frame);
        acknowledgement[4] = 1;
        client.send(acknowledgement).await;
    }
}
