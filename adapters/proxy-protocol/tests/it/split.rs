//! The bytes of a header may arrive in pieces of any size.
use crate::server::{GET, LIMIT, LINE, Served, TRUSTED, to_end, v2};
use anyport_proxy_protocol::Policy;
use tokio::{io::AsyncWriteExt, time::timeout};

fn served() -> Served {
    Served::start_patiently(Policy::required_from(TRUSTED))
}

fn padded(length: usize) -> Vec<u8> {
    let size = u16::try_from(length).unwrap().to_be_bytes();
    let block = [
        &[192, 0, 2, 1, 192, 0, 2, 9, 0x12, 0x67, 0x01, 0xBB][..],
        &[4],
        &size,
        &vec![0; length],
    ];
    v2(0x21, 0x11, &block.concat())
}

/// Sends the pieces, each in a packet of its own.
async fn in_pieces<'a>(served: &Served, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut stream = served.connect().await;
    let talk = async {
        for piece in pieces {
            stream.write_all(piece).await.unwrap();
            // The server reads the bytes that have arrived.
            tokio::task::yield_now().await;
        }
        to_end(&mut stream).await
    };
    timeout(LIMIT, talk).await.unwrap()
}

#[track_caller]
fn is_served(answer: &str) {
    assert!(answer.contains("peer=192.0.2.1:4711 "), "{answer}");
}

#[tokio::test]
async fn header_and_request_arrive_byte_by_byte() {
    let served = served();
    for header in [LINE.as_bytes().to_vec(), padded(0), padded(300)] {
        let all = [&header, GET.as_bytes()].concat();
        is_served(&in_pieces(&served, all.chunks(1)).await);
    }
}

#[tokio::test]
async fn header_and_request_may_be_split_at_each_byte() {
    let served = served();
    for header in [LINE.as_bytes().to_vec(), padded(5)] {
        let all = [&header, GET.as_bytes()].concat();
        for cut in 1..all.len() {
            is_served(&in_pieces(&served, [&all[..cut], &all[cut..]]).await);
        }
    }
}

#[tokio::test]
async fn longest_header_is_read_and_a_longer_one_is_not() {
    let served = served();
    let request = GET.as_bytes();
    let longest = padded(4096 - 16 - 12 - 3);
    assert_eq!(longest.len(), 4096);
    is_served(&in_pieces(&served, [&*longest, request]).await);
    is_served(&served.ask([&longest, request].concat()).await);
    is_served(&in_pieces(&served, longest.chunks(1000).chain([request])).await);
    assert_eq!(served.events.take(), [""; 0]);
    let longer = padded(4096 - 16 - 12 - 2);
    // The length field alone causes the error.
    assert_eq!(served.ask(&longer[..16]).await, "");
    let error = &served.events.take()[0];
    assert!(error.contains("4097 bytes, and at most 4096"), "{error}");
}

#[tokio::test]
async fn second_header_is_data() {
    let served = served();
    for header in [LINE.as_bytes().to_vec(), padded(0)] {
        let answer = served
            .ask([&header, &*header, GET.as_bytes()].concat())
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[tokio::test]
async fn large_body_behind_the_header_is_complete() {
    let served = served();
    let body = "x".repeat(100_000);
    let post = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    is_served(&served.ask([LINE, &post].concat()).await);
}
