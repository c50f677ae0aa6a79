//! Cursors of `SCAN`. The protocol wants a number, a place in an ordered namespace is a key: the
//! newest places handed out are kept, for all connections of a server, and each may be used again
//! until that many came after it. One that is gone is refused, never guessed.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use unison_base::NamespaceName;

/// Cursors of an earlier process must not mean anything in this one: numbers start at the time of
/// the start in milliseconds, times this.
const NUMBERS_A_MS: u64 = 1 << 11;
/// Starts that are told apart: up to the year 2109. Clients in JavaScript keep a cursor in a number that
/// is exact below 2^53 only, so all of them lie below.
const STARTS: u64 = 1 << 42;
/// Most bytes of the keys of all places: more than are needed unless keys are very long.
const KEY_BYTES_MAX: usize = 8 << 20;

/// The places that scans may go on from.
#[derive(Debug)]
pub struct Cursors {
    next: u64,
    kept: VecDeque<(NamespaceName, Vec<u8>)>,
    kept_max: usize,
    key_bytes: usize,
}

impl Cursors {
    /// The cursors of a process that started at `started_ms`, another time at every start. At most
    /// `kept_max` places are kept.
    #[must_use]
    pub fn new(started_ms: u64, kept_max: usize) -> Self {
        let next = (started_ms % STARTS).saturating_mul(NUMBERS_A_MS).max(1);
        Self { next, kept: VecDeque::new(), kept_max: kept_max.max(1), key_bytes: 0 }
    }

    /// A number for "behind `key`".
    pub fn keep(&mut self, namespace: &NamespaceName, key: Vec<u8>) -> u64 {
        self.key_bytes = self.key_bytes.saturating_add(key.len());
        self.kept.push_back((namespace.clone(), key));
        while self.kept.len() > self.kept_max || self.key_bytes > KEY_BYTES_MAX {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            self.key_bytes = self.key_bytes.saturating_sub(oldest.len());
        }
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
    use super::{Cursors, KEY_BYTES_MAX, NUMBERS_A_MS};
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use unison_base::NamespaceName;

    const CURSORS_MAX: usize = 100;

    #[test]
    fn a_cursor_is_exact_as_a_floating_point_number() {
        let name = NamespaceName::new("a").unwrap();
        for start in [1_800_000_000_000, (1 << 42) - 1, u64::MAX >> 22, u64::MAX - 1] {
            let cursor = Cursors::new(start, CURSORS_MAX).keep(&name, b"k".to_vec());
            assert!(cursor < 1 << 53, "{start}: {cursor}");
        }
    }

    #[test]
    fn long_keys_are_kept_up_to_so_many_bytes() {
        let name = NamespaceName::new("a").unwrap();
        let mut cursors = Cursors::new(7, usize::MAX);
        let long = || alloc::vec![b'k'; KEY_BYTES_MAX / 4];
        let numbers: Vec<u64> = (0..6).map(|_| cursors.keep(&name, long())).collect();
        let found = numbers.iter().filter(|number| cursors.find(&name, **number).is_some());
        assert_eq!((found.count(), cursors.find(&name, numbers[1])), (4, None));
        let last = cursors.keep(&name, b"short".to_vec());
        assert_eq!(cursors.find(&name, last), Some(b"short".to_vec()));
    }

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
