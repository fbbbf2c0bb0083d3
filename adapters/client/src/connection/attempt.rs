//! An attempt to connect, and later the connection that came of it, as the pool counts it.
use super::ConnState;
use crate::{
    Error, MakeConnection, Origin,
    client_runtime::ClientRuntime,
    machine::ConnId,
    pool::{OriginFacts, Pool},
    request_body::ClientBody,
};
use std::{fmt, sync::Arc};

/// Dropping it tells the pool that the connection is closed, or that the attempt has failed.
pub struct Attempt<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> {
    pub(crate) pool: Arc<Pool<F, B, M>>,
    pub(crate) conn: ConnId,
    pub(crate) facts: Arc<OriginFacts>,
    error: Option<Error>,
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Attempt<F, B, M> {
    pub(crate) fn new(pool: Arc<Pool<F, B, M>>, conn: ConnId, facts: Arc<OriginFacts>) -> Self {
        Self {
            pool,
            conn,
            facts,
            error: None,
        }
    }

    pub(super) fn conn_state(&self) -> Arc<ConnState> {
        Arc::new(ConnState::new(Arc::clone(&self.facts)))
    }

    /// The attempt has failed.
    pub(super) fn fail(mut self, error: impl FnOnce(&Origin) -> Error) {
        self.error = Some(error(&self.facts.origin));
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Drop for Attempt<F, B, M> {
    fn drop(&mut self) {
        let (error, facts) = (self.error.take(), &self.facts);
        self.pool.closed(self.conn, || {
            error.unwrap_or_else(|| Error::no_runtime(&facts.origin))
        });
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> fmt::Debug for Attempt<F, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
