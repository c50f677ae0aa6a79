//! The namespaces: looked up by every request, changed hardly ever. The same lock-free skip list
//! that the store on Linux uses, with a collector of its own where there are no threads.

use alloc::sync::Arc;
use crossbeam_epoch::{Collector, LocalHandle};
use crossbeam_skiplist::base::SkipList;
use unison_base::{NamespaceName, Published};
use unison_engine::Reader;
use unison_ports::SegmentStore;

/// What a request needs of one namespace.
pub(crate) struct Namespace<S: SegmentStore> {
    name: NamespaceName,
    /// Changed in place: what is taken out of the list itself goes some time later, and a reader
    /// holds memory.
    reader: Published<Option<Reader<S>>>,
}

impl<S: SegmentStore> Namespace<S> {
    pub(crate) fn name(&self) -> &NamespaceName {
        &self.name
    }

    /// Its reader; `None` while it is not open.
    pub(crate) fn reader(&self) -> Option<Reader<S>> {
        self.reader.with(Option::clone)
    }

    /// Takes the reader of an engine that was opened, or none while there is no engine.
    pub(crate) fn set_reader(&self, reader: Option<Reader<S>>) {
        self.reader.store(Arc::new(reader));
    }
}

/// Namespaces in order of their names.
pub(crate) struct Namespaces<S: SegmentStore> {
    list: SkipList<NamespaceName, Arc<Namespace<S>>>,
    participant: LocalHandle,
}

impl<S: SegmentStore> Namespaces<S> {
    /// These namespaces, none of them open.
    pub(crate) fn new(names: &[NamespaceName]) -> Self {
        let collector = Collector::new();
        let participant = collector.register();
        let namespaces = Self { list: SkipList::new(collector), participant };
        names.iter().for_each(|name| namespaces.insert(name));
        namespaces
    }

    fn insert(&self, name: &NamespaceName) {
        let reader = Published::new(None);
        let namespace = Arc::new(Namespace { name: name.clone(), reader });
        let guard = self.participant.pin();
        self.list.insert(name.clone(), namespace, &guard).release(&guard);
    }

    /// A namespace by name.
    pub(crate) fn get(&self, name: &NamespaceName) -> Option<Arc<Namespace<S>>> {
        let guard = self.participant.pin();
        self.list.get(name, &guard).map(|entry| Arc::clone(entry.value()))
    }
}

impl<S: SegmentStore> core::fmt::Debug for Namespaces<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Namespaces").field("len", &self.list.len()).finish()
    }
}
