//! Trusted peers that send no header, or an invalid one.
use crate::server::{GET, LINE, SIGNATURE, Served, TRUSTED, v2};
use anyport_proxy_protocol::Policy;
use std::io;
use tokio::io::AsyncWriteExt;

fn served() -> Served {
    Served::start_patiently(Policy::required_from(TRUSTED))
}

#[tokio::test]
async fn invalid_header_ends_the_connection_with_a_reason() {
    let served = served();
    // A waiting client is not affected.
    let mut waiting = served.connect().await;
    waiting.write_all(LINE.as_bytes()).await.unwrap();
    let endless = "PROXY TCP4 192.0.2.1 ".to_owned() + &"1".repeat(200);
    let overlap = [
        &[192, 0, 2, 1, 192, 0, 2, 9, 1, 1, 1, 1][..],
        b"\x02\xFF\xFFexample",
    ]
    .concat();
    for (bytes, says) in [
        (GET.as_bytes().to_vec(), "that may be HTTP"),
        (b"\x16\x03\x01\x02\0\x01\0\x01".to_vec(), "that is TLS"),
        (endless.into_bytes(), "does not end within 107 bytes"),
        (b"PROXY TCP4 a b 1 2\r\n".to_vec(), "line is invalid"),
        (v2(0x22, 0x11, &[0; 12]), "version and command 0x22"),
        (v2(0x21, 0x11, &[0; 11]), "address block is invalid"),
        (v2(0x21, 0x11, &overlap), "type 0x02 at byte 28"),
        ([SIGNATURE, b"\x21\x11\xFF\xFF"].concat(), "at most 4096"),
    ] {
        assert_eq!(served.ask(&bytes).await, "", "{says}");
        let errors = served.events.take();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(says), "{errors:?}");
        assert!(errors[0].contains("127.0.0.2:"), "{errors:?}");
        assert_eq!(served.events.kinds(), [io::ErrorKind::InvalidData]);
    }
    waiting.write_all(GET.as_bytes()).await.unwrap();
    let answer = crate::server::to_end(&mut waiting).await;
    assert!(answer.contains("peer=192.0.2.1:4711"), "{answer}");
}

#[tokio::test]
async fn truncated_header_ends_the_connection_with_a_reason() {
    let served = served();
    for header in [LINE.as_bytes().to_vec(), v2(0x21, 0x11, &[0; 12])] {
        for length in 0..header.len() {
            let mut stream = served.connect().await;
            stream.write_all(&header[..length]).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(crate::server::to_end(&mut stream).await, "");
            let errors = served.events.take();
            let says = format!("closed the connection after {length} bytes of its PROXY header");
            assert!(errors[0].contains(&says), "{errors:?}");
            assert_eq!(served.events.kinds(), [io::ErrorKind::UnexpectedEof]);
        }
    }
}

#[tokio::test]
async fn silent_proxies_delay_no_other_client() {
    let served = served();
    let mut silent = Vec::new();
    for length in 0..LINE.len() {
        let mut stream = served.connect().await;
        stream.write_all(&LINE.as_bytes()[..length]).await.unwrap();
        silent.push(stream);
        let answer = served.ask([LINE, GET].concat()).await;
        assert!(answer.contains("peer=192.0.2.1:4711"), "{answer}");
    }
    served.settles(silent.len()).await;
    drop(silent);
    served.settles(0).await;
}
