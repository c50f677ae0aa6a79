//! What happens to a namespace, as events read from its log.
//!
//! ```text
//! log     | 7: put a, put b | 8: (foreign) | 9: columns of row r |   10, appended and not visible yet
//! events     7-0    7-1                       9-0                  ^ applied: as far as a reader sees
//! ```
//!
//! All events of a transaction come at its commit, with the commit's LSN. They are found again in the
//! log then: nothing is kept of a transaction that is open.
//!
//! [`Changes`] is a place in the log and a filter: no queue, and no memory that grows, however far it
//! is behind. Whoever stops and comes back with the [`ChangeId`] of the last event goes on behind it,
//! at another node too, for the log is the same there.

mod change;
mod cursor;
mod filter;
mod id;
mod record;
mod transaction;

pub use change::{Change, ChangeKind};
pub use cursor::{Changes, Place, Reached};
pub use filter::{ChangeFilter, ChangeModel, Models};
pub use id::ChangeId;
