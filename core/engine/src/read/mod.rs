//! What readers see: a view (memtables and a committed tree) at one LSN.

mod came;
mod count;
mod entries;
mod expiring;
mod keys_left;
mod merge;
mod messages;
mod object;
mod own;
mod reader;
mod row;
mod rows;
mod rules;
mod scan;
mod seal;
mod snapshot;
mod topics;
mod value;
mod view;

pub use expiring::Expiring;
pub use messages::{Message, MessageLimits, MessageRequest, Messages, RetainedMessages};
pub use object::{Chunk, Chunks, ListedObject, Object, ObjectScan, ObjectScanRequest};
pub use reader::Reader;
pub use row::{Column, ColumnRange, Columns, Row};
pub use rows::{Cell, RowScan, RowScanRequest, ScannedRow};
pub use scan::{Item, Scan, ScanRequest};
pub use seal::NewestSeal;
pub use snapshot::Snapshot;
pub use topics::{TopicName, Topics};
pub use value::ValueRef;

pub(crate) use count::Counted;
pub(crate) use keys_left::KeysLeft;
pub(crate) use own::{own, record_of};
pub(crate) use reader::Shared;
pub(crate) use row::cell;
pub(crate) use rules::{Known, has_any, kept_from, load_rules};
pub(crate) use seal::{epoch_key, last_epoch};
pub(crate) use topics::{last_id, load_patterns, message_by_id, numbers, streams_of, trimmed_to};
pub(crate) use value::{Found, Pin, Place, checked, slice};
pub(crate) use view::View;

#[cfg(test)]
mod tests;
