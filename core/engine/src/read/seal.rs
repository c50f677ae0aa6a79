//! The keys of epochs, from the log or the tree.

use super::entries::{Content, Entries};
use super::value::{Found, Pin, Place};
use super::view::View;
use crate::errors::{ReadError, SealError};
use crate::expiry::{At, Expiry};
use crate::memtable::Direction;
use crate::models::successor;
use crate::models::topic::key::{self, KeyKind};
use crate::records::key_epoch_of_entry;
use crate::seal::{KeyId, Wrapped};
use alloc::sync::Arc;
use core::ops::Bound;
use unison_ports::SegmentStore;
use unison_walfs::LogReader;

/// The newest key that messages are sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewestSeal {
    /// Its number; each writer that opens the namespace begins a new one.
    pub epoch: u64,
    /// The master key that opens it.
    pub key: KeyId,
    /// Whether this node has that one.
    pub known: bool,
}

/// The key of an epoch, staged ones included; `None` when the log has none.
pub(crate) fn epoch_key<S: SegmentStore>(
    view: &View,
    log: &LogReader<S>,
    epoch: u64,
) -> Result<Option<Wrapped>, ReadError> {
    let found = view.find(&key::by_id(KeyKind::KeyEpoch, epoch), At::newest(0))?;
    let Some(found) = found else { return Ok(None) };
    let bytes = found.load(log)?.into_bytes()?;
    Ok(key_epoch_of_entry(&bytes).filter(|wrapped| wrapped.epoch == epoch))
}

/// The key of the newest epoch.
pub(crate) fn newest_epoch<S: SegmentStore>(
    pin: &Arc<Pin<S>>,
    at: At,
) -> Result<Option<Wrapped>, ReadError> {
    let Some((epoch, place)) = newest(pin, at)? else { return Ok(None) };
    let found = Found { lsn: at.lsn, expiry: Expiry::NEVER, place };
    let bytes = found.lazy(pin).into_bytes()?;
    Ok(Some(key_epoch_of_entry(&bytes).ok_or(SealError::Epoch { epoch })?))
}

/// The number of the newest epoch, staged ones included; 0 before the first.
pub(crate) fn last_epoch<S: SegmentStore>(pin: &Arc<Pin<S>>) -> Result<u64, ReadError> {
    Ok(newest(pin, At::newest(0))?.map_or(0, |(epoch, _)| epoch))
}

fn newest<S: SegmentStore>(
    pin: &Arc<Pin<S>>,
    at: At,
) -> Result<Option<(u64, Place<S>)>, ReadError> {
    let first = KeyKind::KeyEpoch.prefix().to_vec();
    let bounds = (Bound::Excluded(first.clone()), Bound::Excluded(successor(&first)));
    let mut epochs = Entries::new(Arc::clone(pin), at, bounds, Direction::Backward)?;
    while let Some(version) = epochs.step()? {
        let epoch = key::id_of(KeyKind::KeyEpoch, version.key());
        if let (Some(epoch), Content::Value(place)) = (epoch, version.content) {
            return Ok(Some((epoch, place)));
        }
    }
    Ok(None)
}
