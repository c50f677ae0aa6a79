//! What a beat says about namespaces when nothing has changed.

use crate::messages::BeatItem;
use crate::wire::Writer;
use unison_base::Lsn;

/// Longest beat while nothing has changed, bytes.
const QUIET_BEAT_BYTES_MAX: usize = 100;
/// Longest item of a beat, bytes: two varints, of 32 and of 64 bits.
const ITEM_BYTES_MAX: usize = 15;

/// Adds as many of `count` namespaces as keep the beat small, and moves `from` on, so that each has
/// its turn. `durable` is `None` for those that are not followed.
pub(crate) fn put_some(
    writer: &mut Writer<'_>,
    count: u32,
    from: &mut u32,
    durable: impl Fn(u32) -> Option<Lsn>,
) {
    for _ in 0..count {
        if writer.bytes() + ITEM_BYTES_MAX > QUIET_BEAT_BYTES_MAX {
            return;
        }
        let namespace = *from;
        *from = if namespace + 1 < count { namespace + 1 } else { 0 };
        if let Some(durable) = durable(namespace) {
            writer.put(&BeatItem { namespace, durable });
        }
    }
}
