//! The suites on the medium of a board, over a block device in memory.

use std::sync::{Arc, Mutex, Weak};
use unison_bare::medium::{
    BlockFile, BlockStore, BlockTree, METADATA_BYTES, UNIT_BYTES, Volume, Wanted,
};
use unison_base::prng::Prng;
use unison_base::{LogId, NamespaceName, SegmentId};
use unison_conformance::Medium;
use unison_conformance::tree::TreeMedium;
use unison_ports::{IoError, SegmentEntry, SegmentKind, SegmentStore};
use unison_sim::blocks::CrashBlocks;
use unison_sim::disk::Cut;

const DISK_BYTES: u64 = 32 << 20;

/// A device, and the store that a process has open on it: only one may be at a time.
struct Blocks {
    device: Arc<CrashBlocks>,
    tree_bytes: Option<u64>,
    open: Mutex<Weak<BlockStore<CrashBlocks>>>,
}

/// The store of the process that is running.
#[derive(Debug)]
struct Store(Arc<BlockStore<CrashBlocks>>);

impl Blocks {
    fn new(device: CrashBlocks, tree_bytes: Option<u64>) -> Self {
        Self { device: Arc::new(device), tree_bytes, open: Mutex::default() }
    }

    fn volume(&self) -> Volume<CrashBlocks> {
        let name = NamespaceName::new("default").unwrap();
        let wanted = Wanted::new(std::slice::from_ref(&name)).unwrap();
        let wanted = self.tree_bytes.map_or(wanted.clone(), |bytes| wanted.with_tree_bytes(bytes));
        let device = Arc::clone(&self.device);
        let (medium, _) = unison_bare::medium::Medium::open(device, &wanted).unwrap();
        medium.volume(&name).unwrap()
    }

    fn cut(self) -> Self {
        Self::new(self.device.crash(Cut::LOST, &mut Prng::new(1)), self.tree_bytes)
    }
}

impl Medium for Blocks {
    type Store = Store;

    fn fresh() -> Self {
        Self::new(CrashBlocks::new(DISK_BYTES), None)
    }

    fn store(&self) -> Store {
        let mut open = self.open.lock().unwrap();
        let store = open.upgrade().unwrap_or_else(|| self.volume().segments());
        *open = Arc::downgrade(&store);
        Store(store)
    }

    fn after_power_cut(self) -> Option<Self> {
        Some(self.cut())
    }

    fn with_room(bytes: u64) -> Option<Self> {
        let units = bytes.div_ceil(UNIT_BYTES) + 1;
        let device = CrashBlocks::new(METADATA_BYTES + units * UNIT_BYTES);
        Some(Self::new(device, Some(UNIT_BYTES)))
    }

    fn leave_empty_segment(&self, id: SegmentId) {
        self.store().create(id, 0).unwrap();
    }
}

impl SegmentStore for Store {
    type File = BlockFile<CrashBlocks>;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        self.0.list(visit)
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<Self::File, IoError> {
        self.0.create(id, size)
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<Self::File, IoError> {
        self.0.open(id, kind)
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        self.0.remove(id, kind)
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        self.0.set_kind(id, from, to)
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        self.0.log_id()
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        self.0.set_log_id(id)
    }
}

impl TreeMedium for Blocks {
    type Tree = BlockTree<CrashBlocks>;

    fn fresh() -> Self {
        Self::new(CrashBlocks::new(DISK_BYTES), None)
    }

    fn open(&self) -> Self::Tree {
        self.volume().tree()
    }

    fn after_power_cut(self) -> Option<Self> {
        Some(self.cut())
    }

    fn with_room(bytes: u64) -> Option<Self> {
        Some(Self::new(CrashBlocks::new(METADATA_BYTES + bytes + UNIT_BYTES), Some(bytes)))
    }
}

mod segments {
    unison_conformance::conformance!(super::Blocks);
}

mod tree {
    unison_conformance::tree_conformance!(super::Blocks);
}
