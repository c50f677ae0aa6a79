//! One direction of a connection, and what happens to it.

use std::collections::VecDeque;

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) on_the_way: VecDeque<(u64, Vec<u8>)>,
    /// Bytes put in so far, of this connection.
    pub(crate) sent: u64,
    /// The connection dies after so many bytes.
    pub(crate) cut_after: Option<u64>,
    /// This byte changes on its way.
    pub(crate) damage: Option<(u64, u8)>,
    /// Nothing arrives any more, and nobody is told.
    pub(crate) dead: bool,
    /// All bytes put in, if they are to be kept.
    pub(crate) tape: Option<Vec<u8>>,
}

impl Line {
    pub(crate) fn put(&mut self, bytes: &[u8], arrival_ms: u64) {
        let left = self.cut_after.map_or(u64::MAX, |cut| cut.saturating_sub(self.sent));
        let mut bytes = bytes[..bytes.len().min(left as usize)].to_vec();
        if let Some((at, with)) = self.damage
            && let Some(byte) = at.checked_sub(self.sent).and_then(|at| bytes.get_mut(at as usize))
        {
            *byte ^= with;
        }
        self.sent += bytes.len() as u64;
        if let Some(tape) = &mut self.tape {
            tape.extend_from_slice(&bytes);
        }
        if !bytes.is_empty() && !self.dead {
            self.on_the_way.push_back((arrival_ms, bytes));
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut_after.is_some_and(|cut| self.sent >= cut) && self.on_the_way.is_empty()
    }

    pub(crate) fn take(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        self.on_the_way.front().filter(|(at, _)| *at <= now_ms)?;
        self.on_the_way.pop_front().map(|(_, bytes)| bytes)
    }
}

/// What a test does to the connections to come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) cut_down: Option<u64>,
    pub(crate) cut_up: Option<u64>,
    pub(crate) damage_down: Option<(u64, u8)>,
    pub(crate) damage_up: Option<(u64, u8)>,
    pub(crate) record: bool,
}
