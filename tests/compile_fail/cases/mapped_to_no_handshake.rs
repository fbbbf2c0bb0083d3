//! The function of `map_handshake` makes a future.
use anyport::{Tcp, Transport};

fn main() {
    let _ = Tcp::bind(3000).map_handshake(|inner| {
        println!("a client");
        (inner, "a name")
    });
}
