//! Numbers in keys: as few bytes as they need, and sorted as the numbers are.
//!
//! ```text
//! bytes that follow, 0 to 8 | the number, big-endian, without leading zeros
//! ```

use alloc::vec::Vec;

/// Most bytes of an encoded number.
pub(crate) const NUMBER_BYTES_MAX: usize = 9;

pub(crate) fn put(target: &mut Vec<u8>, number: u64) {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let rest = bytes.get(zeros..).unwrap_or_default();
    target.push(u8::try_from(rest.len()).unwrap_or_default());
    target.extend_from_slice(rest);
}

/// A number, and what follows it; `None` when there is none in its one form.
pub(crate) fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (digits, rest) = rest.split_at_checked(usize::from(length))?;
    if digits.len() > 8 || digits.first() == Some(&0) {
        return None;
    }
    let number = digits.iter().fold(0, |number, &digit| number << 8 | u64::from(digit));
    Some((number, rest))
}

/// Bytes of two numbers as a value; the second one is left out when it is 0.
pub(crate) fn pair_bytes(first: u64, second: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 * NUMBER_BYTES_MAX);
    put(&mut bytes, first);
    if second > 0 {
        put(&mut bytes, second);
    }
    bytes
}

/// Two numbers from a value.
pub(crate) fn pair_of(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, rest) = take(bytes)?;
    if rest.is_empty() {
        return Some((first, 0));
    }
    let (second, rest) = take(rest)?;
    rest.is_empty().then_some((first, second))
}
