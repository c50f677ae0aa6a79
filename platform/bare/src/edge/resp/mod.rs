//! RESP on a board: a few callers, reads only. The protocol is in `unison-resp`.

mod caller;
mod session;

pub(crate) use caller::Caller;

use super::view::View;
use crate::block::BlockDevice;
use crate::net::{Buffers, Server};
use unison_resp::cursors::Cursors;

/// Most callers at a time.
pub(crate) const CALLERS_MAX: usize = 4;
/// Most places that scans may go on from.
pub(crate) const CURSORS_MAX: usize = 64;
/// Buffers of each connection.
pub(crate) const BUFFERS: Buffers = Buffers { receive_bytes: 4 << 10, send_bytes: 16 << 10 };

/// The server: a place for each caller, and one to turn others away.
pub(crate) type RespServer = Server<Caller, { CALLERS_MAX + 1 }>;

/// What callers ask.
pub(crate) struct Service<'a, 'v, D: BlockDevice> {
    pub(crate) view: &'a View<'v, D>,
    pub(crate) cursors: &'a mut Cursors,
}
