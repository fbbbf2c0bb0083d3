//! A connection: its attempt, its task, and what requests use of it.
mod attempt;
mod conn_state;
mod drive;
mod io;
mod pooled_conn;
mod timeout;

pub(crate) use self::{
    attempt::Attempt,
    conn_state::ConnState,
    drive::drive,
    pooled_conn::{Failure, PooledConn},
    timeout::Timeout,
};
pub use io::ClientIo;
