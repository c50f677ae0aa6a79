//! Reading records, oldest first.

use super::segments::Stretch;
use super::{SmallLog, SmallReadError};
use crate::error::ReadError;
use crate::scan::SegmentScan;
use unison_base::{Lsn, Position};
use unison_ports::SegmentStore;

/// A record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallRecord<'b> {
    /// Its LSN.
    pub lsn: Lsn,
    /// Where its frame starts.
    pub position: Position,
    /// Its bytes.
    pub payload: &'b [u8],
}

impl<S: SegmentStore, const N: usize> SmallLog<'_, S, N> {
    /// Shows every record from `from` on, each checked. `buffer` holds the largest frame.
    ///
    /// # Errors
    /// See [`SmallReadError`]; what was shown before it is sound. After a
    /// [gap](ReadError::Gap) reading may go on behind it.
    pub fn visit(
        &self,
        from: Lsn,
        buffer: &mut [u8],
        show: &mut dyn FnMut(SmallRecord<'_>),
    ) -> Result<(), SmallReadError> {
        let first = self.first();
        if from < first {
            return Err(ReadError::BehindRetention { first }.into());
        }
        let mut next = from;
        let held = |stretch: &&Stretch| stretch.count > 0 && stretch.last() >= from;
        for stretch in self.stretches().filter(held) {
            if stretch.first > next {
                return Err(ReadError::Gap { from: next, to: stretch.first.prev() }.into());
            }
            self.visit_stretch(stretch, next, buffer, show)?;
            next = stretch.last().next();
        }
        if next <= self.appended {
            return Err(ReadError::Gap { from: next, to: self.appended }.into());
        }
        Ok(())
    }

    fn visit_stretch(
        &self,
        stretch: &Stretch,
        from: Lsn,
        buffer: &mut [u8],
        show: &mut dyn FnMut(SmallRecord<'_>),
    ) -> Result<(), SmallReadError> {
        let file = self.store.open(stretch.id, stretch.kind).map_err(ReadError::from)?;
        let mut scan = SegmentScan::new(&file, buffer);
        while scan.offset() < stretch.end {
            let at = stretch.position(scan.offset());
            let Some(frame) = scan.advance()? else {
                return Err(ReadError::Corrupt { at }.into());
            };
            if frame.lsn >= from {
                show(SmallRecord { lsn: frame.lsn, position: at, payload: frame.payload });
            }
        }
        Ok(())
    }
}
