//! How many callers take an object at a time: as slowly as they like, so one place is left to others.

use super::CALLERS_MAX;
use alloc::rc::Rc;

/// The objects that callers are taking.
#[derive(Debug, Default)]
pub(crate) struct Downloads(Rc<()>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Download {
    _counted: Rc<()>,
}

impl Downloads {
    /// Most at a time.
    pub(super) const MAX: usize = CALLERS_MAX - 1;

    /// One more; `None` when there are as many as there may be.
    pub(super) fn begin(&self) -> Option<Download> {
        (Rc::strong_count(&self.0) <= Self::MAX).then(|| Download { _counted: Rc::clone(&self.0) })
    }
}
