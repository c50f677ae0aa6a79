//! Cursors of `SCAN`. The protocol wants a number, a place in an ordered namespace is a key: the
//! newest [`CURSORS_MAX`] places handed out are kept, for all connections of the server, and each
//! may be used again until that many came after it. One that is gone is refused, never guessed.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use unison_base::NamespaceName;

/// Most places kept.
const CURSORS_MAX: usize = 4_096;
/// Cursors of an earlier process must not mean anything in this one: numbers start at the time of
/// the start in milliseconds, times this. Stays below 2^63 for 4,000 years.
const NUMBERS_A_MS: u64 = 1 << 16;

/// The places that scans may go on from.
#[derive(Debug)]
pub(super) struct Cursors(Mutex<Places>);

#[derive(Debug)]
struct Places {
    next: u64,
    kept: VecDeque<(NamespaceName, Vec<u8>)>,
}

impl Cursors {
    pub(super) fn new(started_ms: u64) -> Self {
        let next = started_ms.saturating_mul(NUMBERS_A_MS).max(1);
        Self(Mutex::new(Places { next, kept: VecDeque::new() }))
    }

    /// A number for "behind `key`".
    pub(super) fn keep(&self, namespace: &NamespaceName, key: Vec<u8>) -> u64 {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.kept.len() == CURSORS_MAX {
            places.kept.pop_front();
        }
        places.kept.push_back((namespace.clone(), key));
        let number = places.next;
        places.next += 1;
        number
    }

    /// The key behind which a scan goes on; `None` for a number that was never given out for this
    /// namespace, or too long ago.
    pub(super) fn find(&self, namespace: &NamespaceName, number: u64) -> Option<Vec<u8>> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = places.next.checked_sub(u64::try_from(places.kept.len()).ok()?)?;
        let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
        let (of, key) = places.kept.get(index)?;
        (of == namespace).then(|| key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{CURSORS_MAX, Cursors, NUMBERS_A_MS};
    use unison_base::NamespaceName;

    #[test]
    fn a_cursor_is_good_until_too_many_came_after_it() {
        let cursors = Cursors::new(7);
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
