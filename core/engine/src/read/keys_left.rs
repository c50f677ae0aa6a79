//! How many keys a read may still look at.

use crate::errors::ReadError;

/// What is left of a limit of keys.
#[derive(Debug)]
pub(crate) struct KeysLeft {
    limit: usize,
    left: usize,
}

impl KeysLeft {
    /// So many keys.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// As many as there are.
    pub(crate) const fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// One more is looked at.
    pub(super) fn look(&mut self) -> Result<(), ReadError> {
        self.left = self.left.checked_sub(1).ok_or(ReadError::Keys { limit: self.limit })?;
        Ok(())
    }
}
