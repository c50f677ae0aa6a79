//! A value that one writer replaces and many readers take, each reader keeping what it took.

use alloc::sync::Arc;

/// Shared cell of an `Arc`. With `std` a read is wait-free; without, it holds a spin lock for the
/// length of one reference count. The behaviour is the same.
#[derive(Debug)]
pub struct Published<T> {
    #[cfg(feature = "std")]
    cell: arc_swap::ArcSwap<T>,
    #[cfg(not(feature = "std"))]
    cell: spin::RwLock<Arc<T>>,
}

impl<T> Published<T> {
    /// A cell that holds `value`.
    pub fn new(value: T) -> Self {
        Self::holding(Arc::new(value))
    }

    /// A cell that holds a value which others may hold too.
    pub fn holding(value: Arc<T>) -> Self {
        #[cfg(feature = "std")]
        let cell = arc_swap::ArcSwap::new(value);
        #[cfg(not(feature = "std"))]
        let cell = spin::RwLock::new(value);
        Self { cell }
    }

    /// The newest value.
    pub fn load(&self) -> Arc<T> {
        #[cfg(feature = "std")]
        let value = self.cell.load_full();
        #[cfg(not(feature = "std"))]
        let value = Arc::clone(&self.cell.read());
        value
    }

    /// Runs `look` on the newest value without keeping it.
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        #[cfg(feature = "std")]
        let result = look(&self.cell.load());
        #[cfg(not(feature = "std"))]
        let result = look(&self.load());
        result
    }

    /// Makes `value` the newest. Readers that took the one before keep it.
    pub fn store(&self, value: Arc<T>) {
        #[cfg(feature = "std")]
        self.cell.store(value);
        #[cfg(not(feature = "std"))]
        {
            *self.cell.write() = value;
        }
    }
}
