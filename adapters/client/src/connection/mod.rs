//! A connection: its attempt, its task, and what requests use of it.
mod attempt;
mod drive;
mod io;
mod line;
mod slot;

pub(crate) use self::{attempt::Attempt, drive::drive, line::Line, slot::Slot};
pub use io::ClientIo;
