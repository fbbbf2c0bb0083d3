//! The header's own deadline, on a paused clock.
use crate::server::{LINE, Served, to_end};
use anyport_memory::Memory;
use anyport_proxy_protocol::{Policy, ProxyProtocolExt, Trusted};
use std::{io, time::Duration};
use tokio::{io::AsyncWriteExt, time::Instant};

async fn ends_after(policy: Policy, sent: &[u8]) -> (Duration, Served) {
    let memory = Memory::new();
    let connector = memory.connector();
    let served = Served::start(memory.proxy_protocol(policy));
    let begun = Instant::now();
    let mut stream = connector.connect().unwrap();
    stream.write_all(sent).await.unwrap();
    assert_eq!(to_end(&mut stream).await, "");
    (begun.elapsed(), served)
}

#[tokio::test(start_paused = true)]
async fn header_has_five_seconds_unless_the_policy_says_otherwise() {
    for (policy, seconds) in [
        (Policy::required_from(Trusted::everyone()), 5),
        (
            Policy::required_from(Trusted::everyone()).with_timeout(Duration::from_secs(2)),
            2,
        ),
    ] {
        for sent in [&b""[..], &LINE.as_bytes()[..20]] {
            let (took, served) = ends_after(policy.clone(), sent).await;
            assert_eq!(took.as_secs(), seconds);
            let error = &served.events.take()[0];
            let says = format!(
                "no complete PROXY header within {seconds}s, but {} bytes",
                sent.len()
            );
            assert!(error.contains(&says), "{error}");
            assert_eq!(served.events.kinds(), [io::ErrorKind::TimedOut]);
        }
    }
}
