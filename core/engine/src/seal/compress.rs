//! LZ4 blocks behind the length that they unfold to.

use super::body::BODY_MAX;
use alloc::vec;
use alloc::vec::Vec;
use unison_base::bytes::u32_at;

const LENGTH_BYTES: usize = 4;
/// No block unfolds to more than so many times its length: each byte of a length adds 255 at most.
const RATIO_MAX: usize = 255;
/// What is not smaller by a twentieth is not worth unfolding.
const WORTH_PERCENT: usize = 95;

/// The compressed form of a body, when that is worth it.
pub(super) fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let worth = body.len() / 100 * WORTH_PERCENT + body.len() % 100 * WORTH_PERCENT / 100;
    let block = lz4_flex::block::compress(body);
    if block.len().saturating_add(LENGTH_BYTES) > worth {
        return None;
    }
    let length = u32::try_from(body.len()).ok()?;
    Some([length.to_le_bytes().as_slice(), &block].concat())
}

/// What a compressed body says that it unfolds to, bytes.
pub(super) fn unfolded_bytes(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32_at(bytes, 0)?).ok()
}

/// The body; `None` when the bytes are no compressed one. What they claim is compared with what a body
/// and such a block can be before memory is taken for it.
pub(super) fn unfolded(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = unfolded_bytes(bytes)?;
    let block = bytes.get(LENGTH_BYTES..)?;
    if length > BODY_MAX || length > block.len().saturating_mul(RATIO_MAX) {
        return None;
    }
    let mut body = vec![0; length];
    let unfolded = lz4_flex::block::decompress_into(block, &mut body).ok()?;
    (unfolded == length).then_some(body)
}
