//! The models: how a user's key looks in storage. Each has a prefix of its own, so no two models
//! ever meet, whatever bytes a user's key begins with.

pub(crate) mod kv;
pub(crate) mod object;
pub(crate) mod row;
pub(crate) mod topic;

use alloc::vec::Vec;

/// The first key behind all that begin with `prefix`, which begins with a model's byte.
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|&byte| byte < u8::MAX).map_or(0, |last| last + 1);
    let mut behind = prefix.get(..kept).unwrap_or_default().to_vec();
    if let Some(last) = behind.last_mut() {
        *last = last.saturating_add(1);
    }
    behind
}
