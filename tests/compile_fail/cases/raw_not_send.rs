use anyport::{Result, Tcp, protocol::Accepted, serve_raw_with, transport::tcp::TcpConnection};
use std::rc::Rc;

async fn echo(connection: Accepted<TcpConnection>) {
    let name = Rc::new("world");
    tokio::task::yield_now().await;
    println!("{name}: {connection:?}");
}

#[tokio::main]
async fn main() -> Result<()> {
    serve_raw_with(Tcp::bind(3000), echo).await?;
    Ok(())
}
