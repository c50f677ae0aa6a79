//! Topics: a list of messages, and what became of each.

use super::Moment;
use super::change::{Address, Draft, Value};
use std::collections::BTreeMap;
use unison_base::Lsn;
use unison_engine::MessageId;

/// One message, whatever became of it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) to: &'static str,
    pub(crate) address: Address,
    pub(crate) id: MessageId,
    /// Milliseconds since 1970.
    pub(crate) time_ms: u64,
    /// 0 = never.
    pub(crate) expires_at: u64,
    pub(crate) retain: bool,
    pub(crate) payload: Value,
    /// The record that deleted or trimmed it.
    removed: Option<Lsn>,
}

/// All that was ever published, in order.
#[derive(Debug, Default)]
pub(super) struct Topics {
    messages: Vec<Known>,
    /// Names of topics, then patterns, in the order of their levels, with the record that defined
    /// each.
    names: BTreeMap<(Address, Vec<&'static str>), (&'static str, Lsn)>,
}

impl Topics {
    pub(super) fn define(&mut self, lsn: Lsn, address: Address, names: &[&'static str]) {
        for name in names {
            let levels = name.split('/').collect();
            self.names.entry((address, levels)).or_insert((name, lsn));
        }
    }

    pub(super) fn is_defined(&self, address: Address, name: &'static str) -> bool {
        self.names.contains_key(&(address, name.split('/').collect()))
    }

    pub(super) fn publish(&mut self, id: MessageId, time_ms: u64, address: Address, draft: &Draft) {
        self.messages.push(Known {
            to: draft.to,
            address,
            id,
            time_ms,
            expires_at: draft.expires_at,
            retain: draft.retain,
            payload: Value::clone(&draft.payload),
            removed: None,
        });
    }

    pub(super) fn delete(&mut self, lsn: Lsn, id: MessageId) {
        let message = self.messages.iter_mut().rev().find(|message| message.id == id);
        message.into_iter().for_each(|message| _ = message.removed.get_or_insert(lsn));
    }

    /// A trim takes nothing that is newer than itself.
    pub(super) fn trim(&mut self, lsn: Lsn, (address, to): (Address, &str), bound: (u64, Lsn)) {
        let of = |message: &&mut Known| message.to == to && message.address == address;
        for message in self.messages.iter_mut().filter(of) {
            if (message.time_ms, message.id.lsn) < bound {
                message.removed.get_or_insert(lsn);
            }
        }
    }

    pub(super) fn truncate(&mut self, last: Lsn) {
        let kept = self.messages.partition_point(|message| message.id.lsn <= last);
        self.messages.truncate(kept);
        for message in &mut self.messages {
            message.removed = message.removed.filter(|&lsn| lsn <= last);
        }
        self.names.retain(|_, &mut (_, lsn)| lsn <= last);
    }

    /// Every message that is there, the oldest first.
    pub(super) fn there(&self, at: Moment) -> impl DoubleEndedIterator<Item = &Known> {
        let written = self.messages.partition_point(|message| message.id.lsn <= at.lsn);
        self.messages[..written].iter().filter(move |message| message.is_there(at))
    }

    /// The retained message of each topic, in the order of names. No older one takes its place when
    /// it is gone.
    pub(super) fn retained(&self, at: Moment) -> impl Iterator<Item = &Known> {
        let written = self.messages.partition_point(|message| message.id.lsn <= at.lsn);
        let mut newest = BTreeMap::new();
        for message in &self.messages[..written] {
            if message.retain && message.address == Address::Topics {
                newest.insert(message.to.split('/').collect::<Vec<_>>(), message);
            }
        }
        newest.into_values().filter(move |message| message.is_there(at))
    }

    pub(super) fn names(&self, lsn: Lsn) -> impl Iterator<Item = &'static str> {
        let topics = self.names.iter().filter(|((address, _), _)| *address == Address::Topics);
        topics.filter(move |(_, (_, at))| *at <= lsn).map(|(_, (name, _))| *name)
    }
}

impl Known {
    fn is_there(&self, at: Moment) -> bool {
        !at.is_past(self.expires_at) && self.removed.is_none_or(|lsn| lsn > at.lsn)
    }
}

/// Whether some topic is found by both of two filters: of names the same, of a filter and a name
/// whether it finds that.
pub(crate) fn meet(one: &str, other: &str) -> bool {
    let blind = |one: &str, other: &str| one.starts_with(['+', '#']) && other.starts_with('$');
    if blind(one, other) || blind(other, one) {
        return false;
    }
    levels_meet(&one.split('/').collect::<Vec<_>>(), &other.split('/').collect::<Vec<_>>())
}

fn levels_meet(one: &[&str], other: &[&str]) -> bool {
    match (one, other) {
        (["#"], _) | (_, ["#"]) | ([], []) => true,
        ([first, one @ ..], [second, other @ ..]) => {
            (first == second || *first == "+" || *second == "+") && levels_meet(one, other)
        }
        _ => false,
    }
}
