//! When keys and rows expire, and who says so.
//!
//! What has expired is hidden from every look at it, and goes from the tree later. Two clocks hide:
//! the log's watermark, which [`Kind::ExpireTo`](crate::records::Kind) records raise and which is the
//! same on every replica at the same LSN, and the reader's own, if it has one that it trusts.

mod due;
mod index;

pub(crate) use due::Due;
pub(crate) use index::{end as index_end, indexed, put_index_key, start as index_start};

use unison_base::Lsn;

/// First byte of the keys of the expiry index. The key of this byte alone is, in memory, that of the
/// watermark.
pub(crate) const PREFIX: u8 = 0xFB;
/// Where memory keeps the versions of the watermark.
pub(crate) const WATERMARK_KEY: [u8; 1] = [PREFIX];

/// When a key or a row expires: milliseconds since 1970, 0 = never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expiry(pub(crate) u64);

impl Expiry {
    pub(crate) const NEVER: Self = Self(0);

    /// True when there is such a time.
    #[inline]
    pub(crate) const fn is_set(self) -> bool {
        self.0 != 0
    }

    /// True when it is over at `now_ms`.
    #[inline]
    pub(crate) const fn is_past(self, now_ms: u64) -> bool {
        self.is_set() && self.0 <= now_ms
    }
}

/// The moment that a reader looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) lsn: Lsn,
    /// The reader's clock; 0 when it has none.
    pub(crate) now_ms: u64,
}

impl At {
    /// Everything there is, staged records included.
    pub(crate) const fn newest(now_ms: u64) -> Self {
        Self { lsn: Lsn::MAX, now_ms }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;
