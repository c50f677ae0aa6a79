//! HTTP on a board: how the node is, topics, and large objects. One request a connection.

mod answer;
mod caller;
mod downloads;
mod object;
mod query;
mod read;
mod refused;
mod topics;

pub(crate) use answer::too_many_callers;
pub(crate) use caller::{Caller, Service};
pub(crate) use downloads::Downloads;

use crate::net::{Buffers, Server};

/// Most callers at a time.
pub(crate) const CALLERS_MAX: usize = 2;
/// Buffers of each connection.
pub(crate) const BUFFERS: Buffers = Buffers { receive_bytes: 2 << 10, send_bytes: 4 << 10 };

/// The server: a place for each caller, and one to turn others away.
pub(crate) type HttpServer = Server<Caller, { CALLERS_MAX + 1 }>;
