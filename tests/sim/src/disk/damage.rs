//! Bytes that change by themselves (A4).

use super::inode::Inode;
use super::pages::Pages;
use super::state::FileName;
use super::{CrashDisk, Moment};
use unison_base::SegmentId;
use unison_ports::{IoError, SegmentKind};

/// A file of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// A segment in a role.
    Segment(SegmentId, SegmentKind),
    /// The tree.
    Tree,
}

impl File {
    const fn name(self) -> FileName {
        match self {
            Self::Segment(id, kind) => FileName::Segment(id, kind),
            Self::Tree => FileName::Tree,
        }
    }
}

/// How bytes change. All offsets and lengths are bytes; what lies past the end is left out.
#[derive(Clone, Copy, Debug)]
pub enum Damage<'a> {
    /// One bit, 0 to 7, turns over.
    FlipBit {
        /// The byte.
        offset: u64,
        /// The bit within it.
        bit: u8,
    },
    /// A range is replaced by zeros.
    Zero {
        /// Start.
        offset: u64,
        /// Length.
        length: usize,
    },
    /// A range appears at another place too: a misdirected or a duplicated block.
    Copy {
        /// Where it is.
        from: u64,
        /// Where it appears.
        to: u64,
        /// Length.
        length: usize,
    },
    /// Two ranges change places.
    Swap {
        /// One.
        first: u64,
        /// The other.
        second: u64,
        /// Length.
        length: usize,
    },
    /// A range goes back to what it was: a write that the device forgot.
    Stale {
        /// Start.
        offset: u64,
        /// Length.
        length: usize,
        /// When it was so.
        then: &'a Moment,
    },
}

impl CrashDisk {
    /// Changes bytes of a file, in the cache and on the medium alike. What was not synced before
    /// covers the damage again after a cut that keeps it.
    ///
    /// # Errors
    /// [`IoError::NotFound`] when there is no such file, then or now.
    pub fn damage(&self, directory: &str, file: File, damage: Damage<'_>) -> Result<(), IoError> {
        let mut disk = self.lock();
        let directory = disk.state.find_directory(directory).ok_or(IoError::NotFound)?;
        let name = (directory, file.name());
        let number = *disk.state.names.get(&name).ok_or(IoError::NotFound)?;
        let then = match damage {
            Damage::Stale { then, .. } => {
                let number = then.state().names.get(&name).ok_or(IoError::NotFound)?;
                Some(then.state().inode(*number)?)
            }
            _ => None,
        };
        let inode = disk.state.inode_mut(number)?;
        let old = inode.clone();
        change(&mut inode.cached, &old.cached, damage, then.map(|then| &then.cached));
        change(&mut inode.durable, &old.durable, damage, then.map(durable));
        Ok(())
    }
}

const fn durable(inode: &Inode) -> &Pages {
    &inode.durable
}

fn change(pages: &mut Pages, old: &Pages, damage: Damage<'_>, then: Option<&Pages>) {
    match damage {
        Damage::FlipBit { offset, bit } => {
            let byte = range(old, offset, 1);
            let flipped: Vec<_> = byte.iter().map(|byte| byte ^ (1 << (bit & 7))).collect();
            pages.write_clipped(offset, &flipped);
        }
        Damage::Zero { offset, length } => {
            let zeros = vec![0; range(old, offset, length).len()];
            pages.write_clipped(offset, &zeros);
        }
        Damage::Copy { from, to, length } => pages.write_clipped(to, &range(old, from, length)),
        Damage::Swap { first, second, length } => {
            pages.write_clipped(second, &range(old, first, length));
            pages.write_clipped(first, &range(old, second, length));
        }
        Damage::Stale { offset, length, .. } => {
            let stale = then.map(|then| range(then, offset, length)).unwrap_or_default();
            pages.write_clipped(offset, &stale);
        }
    }
}

/// The bytes of a range that exist.
fn range(pages: &Pages, offset: u64, length: usize) -> Vec<u8> {
    let there = usize::try_from(pages.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length.min(there)];
    pages.read(offset, &mut bytes);
    bytes
}
