//! The examples of anyport, one per question. Run one with `cargo run --example NAME`; each lists
//! its options with `-- --help`.
//!
//! | example | answers |
//! |---|---|
//! | `hello` | How do I serve an app over this or that transport, and drain it on SIGTERM? |
//! | `axum_app` | How do I serve a whole axum app over any transport, and what do its handlers know of the connection? |
//! | `per_worker` | How do I keep state without a lock, one per worker, and let the workers talk? |
//! | `thread_per_core` | How do I have a thread per core, on monoio, glommio or tokio, without `Send`? |
//! | `mixed` | How do I serve two runtimes from one server, with one drain? |
//! | `custom_transport` | How do I write a transport of my own? |
//! | `limits` | What does a client see that goes too far? |
//! | `shutdown` | What becomes of the clients when the server shuts down? |
//! | `draining` | How do handlers that would go on for ever end when the server shuts down? |
//! | `testing` | How do I test an app with its server, but without a network? |
//! | `websocket` | How do I serve WebSockets, and let clients on different workers talk to each other? |
//! | `raw_echo` | How do I get at the bytes themselves? |
//! | `tls` | How do I serve HTTPS, and renew the certificate without a restart? |
//! | `mtls` | How do I let in only clients that show a certificate? |
//! | `sni` | How do I serve several names, each with a certificate of its own? |
//! | `unix` | How do I serve over a Unix socket, and learn which user asks? |

#[cfg(any(test, doctest))]
mod guide;
