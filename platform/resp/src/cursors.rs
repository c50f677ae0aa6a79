//! Cursors of `SCAN`. The protocol wants a number, a place in an ordered namespace is a key: the
//! newest places handed out are kept, for all connections of a server, and each may be used again
//! until that many came after it. One that is gone is refused, never guessed.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use unison_base::NamespaceName;

/// Cursors of an earlier process must not mean anything in this one: numbers start at the time of
/// the start in milliseconds, times this. Stays below 2^63 for 4,000 years.
const NUMBERS_A_MS: u64 = 1 << 16;

/// The places that scans may go on from.
#[derive(Debug)]
pub struct Cursors {
    next: u64,
    kept: VecDeque<(NamespaceName, Vec<u8>)>,
    kept_max: usize,
}

impl Cursors {
    /// The cursors of a process that started at `started_ms`, another time at every start. At most
    /// `kept_max` places are kept.
    #[must_use]
    pub fn new(started_ms: u64, kept_max: usize) -> Self {
        let next = started_ms.saturating_mul(NUMBERS_A_MS).max(1);
        Self { next, kept: VecDeque::new(), kept_max: kept_max.max(1) }
    }

    /// A number for "behind `key`".
    pub fn keep(&mut self, namespace: &NamespaceName, key: Vec<u8>) -> u64 {
        if self.kept.len() == self.kept_max {
            self.kept.pop_front();
        }
        self.kept.push_back((namespace.clone(), key));
        let number = self.next;
        self.next += 1;
        number
    }

    /// The key behind which a scan goes on; `None` for a number that was never given out for this
    /// namespace, or too long ago.
    #[must_use]
    pub fn find(&self, namespace: &NamespaceName, number: u64) -> Option<Vec<u8>> {
        let oldest = self.next.checked_sub(u64::try_from(self.kept.len()).ok()?)?;
        let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
        let (of, key) = self.kept.get(index)?;
        (of == namespace).then(|| key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursors, NUMBERS_A_MS};
    use alloc::string::ToString;
    use unison_base::NamespaceName;

    const CURSORS_MAX: usize = 100;

    #[test]
    fn a_cursor_is_good_until_too_many_came_after_it() {
        let mut cursors = Cursors::new(7, CURSORS_MAX);
        let (name, other) = (NamespaceName::new("a").unwrap(), NamespaceName::new("b").unwrap());
        let first = cursors.keep(&name, b"k".to_vec());
        assert_eq!(first, 7 * NUMBERS_A_MS);
        assert_eq!(cursors.find(&name, first), Some(b"k".to_vec()));
        assert_eq!(cursors.find(&other, first), None);
        assert_eq!(cursors.find(&name, first + 1), None);
        assert_eq!(cursors.find(&name, first - 1), None);
        for number in 1..CURSORS_MAX {
            cursors.keep(&name, number.to_string().into_bytes());
        }
        assert!(cursors.find(&name, first).is_some());
        let last = cursors.keep(&name, b"last".to_vec());
        assert_eq!(cursors.find(&name, first), None);
        assert_eq!(cursors.find(&name, last), Some(b"last".to_vec()));
    }
}
