//! Length-checked access to little-endian bytes that came from outside.

/// The `N` bytes at `offset`, or `None` past the end.
#[must_use]
#[inline]
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    let end = offset.checked_add(N)?;
    bytes.get(offset..end)?.try_into().ok()
}

/// Little-endian `u16` at `offset`.
#[must_use]
#[inline]
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// Little-endian `u32` at `offset`.
#[must_use]
#[inline]
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// Little-endian `u64` at `offset`.
#[must_use]
#[inline]
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Copies `source` to `offset`; `None`, and nothing copied, when it does not fit.
#[must_use]
#[inline]
pub fn put(target: &mut [u8], offset: usize, source: &[u8]) -> Option<()> {
    let end = offset.checked_add(source.len())?;
    target.get_mut(offset..end)?.copy_from_slice(source);
    Some(())
}
