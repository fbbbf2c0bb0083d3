//! The function of `map_connection` makes a connection.
use anyport::{Tcp, Transport};

fn main() {
    let _ = Tcp::bind(3000).map_connection(|inner| (inner, "a name"));
}
