//! A type that changes a connection says what it changes.
use anyport::{Tcp, Transport, transport::Intercepted};

struct Counter(u64);

fn main() {
    let _ = Tcp::bind(3000).map_connection(|inner| Intercepted::new(inner, Counter(0)));
}
