//! The bytes of a disk and the names they have.

use super::inode::{Change, Inode};
use super::pages::Pages;
use std::collections::BTreeMap;
use std::sync::Arc;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentKind};

/// A file of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileName {
    /// The tree.
    Tree,
    /// A segment in a role.
    Segment(SegmentId, SegmentKind),
    /// One that was replaced by a newer one of its number and role.
    Older(SegmentId, SegmentKind, u64),
}

/// Directory and file.
pub(super) type Name = (usize, FileName);
/// What a name stands for.
pub(super) type InodeNumber = u64;

/// Bytes and names. Cloning shares the bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(super) names: BTreeMap<Name, InodeNumber>,
    pub(super) inodes: BTreeMap<InodeNumber, Arc<Inode>>,
    pub(super) identities: BTreeMap<usize, LogId>,
    pub(super) free_bytes: Option<u64>,
    directories: Arc<Vec<String>>,
    next_inode: InodeNumber,
    sequence: u64,
}

impl State {
    /// Number of a directory; makes it when it is new.
    pub(super) fn directory(&mut self, name: &str) -> usize {
        let found = self.directories.iter().position(|known| known == name);
        found.unwrap_or_else(|| {
            Arc::make_mut(&mut self.directories).push(name.to_owned());
            self.directories.len() - 1
        })
    }

    /// Number of a directory that exists.
    pub(super) fn find_directory(&self, name: &str) -> Option<usize> {
        self.directories.iter().position(|known| known == name)
    }

    /// Forgets all files of a directory.
    pub(super) fn remove_directory(&mut self, name: &str) {
        let Some(number) = self.find_directory(name) else { return };
        let names: Vec<_> =
            self.names.range((number, FileName::Tree)..).map(|(&name, _)| name).collect();
        for name in names.into_iter().take_while(|&(within, _)| within == number) {
            // The name was listed just now.
            let _ = self.remove(name);
        }
        self.identities.remove(&number);
        self.forget_unnamed();
    }

    /// The tree of a directory; makes it when it is new.
    pub(super) fn tree(&mut self, directory: usize) -> InodeNumber {
        let name = (directory, FileName::Tree);
        let known = self.names.get(&name).copied();
        known.unwrap_or_else(|| self.add(name, 0))
    }

    pub(super) fn add(&mut self, name: Name, size: u64) -> InodeNumber {
        self.next_inode += 1;
        self.names.insert(name, self.next_inode);
        let inode = Inode::settled(Pages::zeros(size));
        self.inodes.insert(self.next_inode, Arc::new(inode));
        self.next_inode
    }

    pub(super) fn inode(&self, number: InodeNumber) -> Result<&Inode, IoError> {
        self.inodes.get(&number).map(Arc::as_ref).ok_or(IoError::NotFound)
    }

    pub(super) fn inode_mut(&mut self, number: InodeNumber) -> Result<&mut Inode, IoError> {
        self.inodes.get_mut(&number).map(Arc::make_mut).ok_or(IoError::NotFound)
    }

    pub(super) fn change(&mut self, number: InodeNumber, change: Change) -> Result<(), IoError> {
        self.sequence += 1;
        let sequence = self.sequence;
        self.inode_mut(number)?.change(sequence, change);
        Ok(())
    }

    /// Takes room, or fails and takes none.
    pub(super) fn take_room(&mut self, bytes: u64) -> Result<(), IoError> {
        if let Some(free) = &mut self.free_bytes {
            *free = free.checked_sub(bytes).ok_or(IoError::NoSpace)?;
        }
        Ok(())
    }

    pub(super) fn give_room(&mut self, bytes: u64) {
        if let Some(free) = &mut self.free_bytes {
            *free = free.saturating_add(bytes);
        }
    }

    pub(super) fn segments(&self, directory: usize) -> impl Iterator<Item = SegmentEntry> {
        self.names.iter().filter_map(move |(&(within, file), &number)| match file {
            FileName::Segment(id, kind) if within == directory => {
                let size = self.inode(number).map_or(0, |inode| inode.cached.len());
                Some(SegmentEntry { id, kind, size })
            }
            _ => None,
        })
    }

    /// Whether a segment holds nothing but zeros, as a cut-off creation leaves it.
    pub(super) fn is_leftover(&self, number: InodeNumber) -> bool {
        let Ok(inode) = self.inode(number) else { return false };
        let mut bytes = vec![1; usize::try_from(inode.cached.len()).unwrap_or(usize::MAX)];
        inode.cached.read(0, &mut bytes) && bytes.iter().all(|&byte| byte == 0)
    }

    pub(super) fn remove(&mut self, name: Name) -> Result<(), IoError> {
        let number = self.names.remove(&name).ok_or(IoError::NotFound)?;
        let size = self.inode(number)?.cached.len();
        self.give_room(size);
        Ok(())
    }

    /// Gives a file another name; one that has it already becomes an older one.
    pub(super) fn rename(&mut self, from: Name, to: Name) -> Result<(), IoError> {
        let number = *self.names.get(&from).ok_or(IoError::NotFound)?;
        if from == to {
            return Ok(());
        }
        if let Some(replaced) = self.names.remove(&to)
            && let (directory, FileName::Segment(id, kind)) = to
        {
            self.names.insert((directory, FileName::Older(id, kind, replaced)), replaced);
        }
        self.names.remove(&from);
        self.names.insert(to, number);
        Ok(())
    }

    /// Forgets files that no name stands for any more.
    pub(super) fn forget_unnamed(&mut self) {
        let named: std::collections::BTreeSet<_> = self.names.values().copied().collect();
        self.inodes.retain(|number, _| named.contains(number));
    }
}
