//! The key that a writer seals messages with.

use crate::engine::Engine;
use crate::errors::WriteError;
use crate::models::topic::settings::{Encryption, Rules};
use crate::read::{Pin, last_epoch};
use crate::seal::{Keyring, Sealer};
use alloc::sync::Arc;
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType};

impl<S: SegmentStore> Engine<S> {
    /// The master keys of the namespace, for its messages. Without any, what is sealed is stored and
    /// stays closed. What is held meanwhile goes on with the keys of before.
    pub fn set_keys(&mut self, keys: Keyring) {
        self.shared.keys.store(Arc::new(keys));
        self.topics.sealer = None;
    }

    /// Begins an epoch when messages are to be sealed and none was begun since the log was opened, or
    /// since what was written last was taken back: its LSNs are taken again, and with the same key two
    /// messages would have the same nonce.
    pub(super) fn ready_to_seal(&mut self, rules: &Rules, now_ms: u64) -> Result<(), WriteError> {
        if rules.settings().encryption == Encryption::None || self.topics.sealer.is_some() {
            return Ok(());
        }
        let keys = self.shared.keys.load();
        if !keys.can_seal() {
            return Err(WriteError::NoKey);
        }
        let (view, log) = (self.shared.view.load(), self.shared.log.clone());
        let epoch = last_epoch(&Arc::new(Pin { view, log }))?.saturating_add(1);
        let (key, wrapped) = keys.new_epoch(epoch).ok_or(WriteError::NoKey)?;
        self.begin_record((OperationType::KeyEpoch, EntryType::Event), None, 1, now_ms);
        self.topics.entries.key_epoch(&mut self.encoder, &wrapped);
        self.encoder.finish();
        self.stage_encoded(now_ms)?;
        self.topics.sealer = Some(Sealer { key, keys });
        Ok(())
    }
}
