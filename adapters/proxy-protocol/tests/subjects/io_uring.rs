//! TCP on glommio and on monoio.
use super::plain::InnerTransport;
use anyport_core::{protocol::Accepted, serve_raw_with};
use anyport_glommio::Glommio;
use anyport_monoio::{Driver, Monoio};
use anyport_testkit::requirements::needs_start;

/// TCP on glommio.
pub(crate) struct OnGlommio;

impl InnerTransport for OnGlommio {
    const NAME: &str = "proxy-glommio";
    type Transport = Glommio;

    fn bind() -> Self::Transport {
        Glommio::bind("127.0.0.1:0").with_workers(2)
    }

    fn unavailable() -> Option<String> {
        let glommio = Glommio::bind("127.0.0.1:0").with_workers(1);
        needs_start(serve_raw_with(glommio, |_: Accepted<_>| async {}))
    }
}

/// TCP on monoio, which waits with epoll or with io_uring.
pub(crate) struct OnMonoio<const EPOLL: bool>;

impl<const EPOLL: bool> OnMonoio<EPOLL> {
    const DRIVER: Driver = match EPOLL {
        true => Driver::Epoll,
        false => Driver::IoUring,
    };
}

impl<const EPOLL: bool> InnerTransport for OnMonoio<EPOLL> {
    const NAME: &str = match EPOLL {
        true => "proxy-monoio-epoll",
        false => "proxy-monoio-io-uring",
    };
    type Transport = Monoio;

    fn bind() -> Self::Transport {
        Monoio::bind("127.0.0.1:0")
            .with_driver(Self::DRIVER)
            .with_workers(2)
    }

    fn unavailable() -> Option<String> {
        Self::DRIVER.check().err().map(|error| error.to_string())
    }
}
