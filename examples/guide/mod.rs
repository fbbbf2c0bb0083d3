//! The programs of the README and of the guide (docs/): they compile, and those that are whole
//! files are tested.

/// The programs of these pages are doc tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/start.md")]
    mod start {}
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    #[doc = include_str!("../../docs/from-axum-serve.md")]
    mod from_axum_serve {}
    #[cfg(unix)]
    #[doc = include_str!("../../docs/tls.md")]
    mod tls {}
    #[doc = include_str!("../../docs/connect.md")]
    mod connect {}
    #[cfg(unix)]
    #[doc = include_str!("../../docs/client.md")]
    mod client {}
    #[doc = include_str!("../../docs/reverse-proxy.md")]
    mod reverse_proxy {}
    #[doc = include_str!("../../docs/drain-and-deploy.md")]
    mod drain_and_deploy {}
    #[doc = include_str!("../../docs/websockets.md")]
    mod websockets {}
    #[doc = include_str!("../../docs/observe.md")]
    mod observe {}
    #[cfg(unix)]
    #[doc = include_str!("../../docs/write-a-transport.md")]
    mod write_a_transport {}
    #[doc = include_str!("../../docs/write-a-wrapper.md")]
    mod write_a_wrapper {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn pages_show_the_programs_that_pass_the_suite() {
        let transport = include_str!("../../docs/write-a-transport.md");
        let wrapper = include_str!("../../docs/write-a-wrapper.md");
        for (page, program) in [
            (transport, include_str!("transport.rs")),
            (transport, include_str!("behaviour.rs")),
            (wrapper, include_str!("wrapper.rs")),
            (wrapper, include_str!("wrapper_behaviour.rs")),
        ] {
            assert!(page.contains(program), "a page lacks this:\n{program}");
        }
    }
}
