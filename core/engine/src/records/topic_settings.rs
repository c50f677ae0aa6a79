//! The record of the settings of topics.

use super::Span;
use super::decode::{Record, entries, nested, span};
use super::encode::Encoder;
use super::encode_topic::TopicEncoder;
use crate::models::topic::name::TopicFilter;
use crate::models::topic::settings::{Compression, Encryption, TopicRule, TopicSettings, check};
use alloc::vec::Vec;
use unison_schemas::{
    TopicRule as RuleTable, TopicRuleArgs, TopicSettingsEntry, TopicSettingsEntryArgs,
};

impl TopicEncoder {
    /// Settings, in the place of those before.
    pub(crate) fn settings(&mut self, record: &mut Encoder, settings: &TopicSettings) {
        let builder = &mut self.builder;
        let rules: Vec<_> = settings
            .rules
            .iter()
            .map(|rule| {
                let filter = Some(builder.create_string(rule.filter.as_str()));
                let (ttl, keep_last) = (rule.ttl_ms.unwrap_or(0), rule.keep_last.unwrap_or(0));
                RuleTable::create(builder, &TopicRuleArgs { filter, ttl, keep_last })
            })
            .collect();
        let rules = (!rules.is_empty()).then(|| builder.create_vector(&rules));
        let ttl = settings.ttl_ms.unwrap_or(0);
        let compression = match settings.compression {
            Compression::None => 0,
            Compression::Lz4 => 1,
        };
        let encryption = match settings.encryption {
            Encryption::None => 0,
            Encryption::ChaCha20Poly1305 => 1,
        };
        let args = TopicSettingsEntryArgs { ttl, compression, encryption, rules };
        let root = TopicSettingsEntry::create(builder, &args);
        self.finish(record, root);
    }
}

/// The settings of a record, with the bytes that are their value and their place; `None` when no
/// writer of ours makes such ones.
pub(crate) fn settings<'a>(record: &Record<'a>) -> Option<(TopicSettings, &'a [u8], Span)> {
    let entry = entries(&record.table).next()?;
    Some((settings_of_entry(entry)?, entry, span(record.payload, entry)))
}

/// The settings whose value these bytes are.
pub(crate) fn settings_of_entry(bytes: &[u8]) -> Option<TopicSettings> {
    let table = nested::<TopicSettingsEntry<'_>>(bytes)?;
    let rules = table.rules().into_iter().flatten().map(|rule| {
        let filter = TopicFilter::new(rule.filter()?).ok()?;
        let ttl_ms = Some(rule.ttl()).filter(|ttl| *ttl > 0);
        let keep_last = Some(rule.keep_last()).filter(|count| *count > 0);
        Some(TopicRule { filter, ttl_ms, keep_last })
    });
    let rules = rules.collect::<Option<_>>()?;
    let ttl_ms = Some(table.ttl()).filter(|ttl| *ttl > 0);
    let compression = match table.compression() {
        0 => Compression::None,
        1 => Compression::Lz4,
        _ => return None,
    };
    let encryption = match table.encryption() {
        0 => Encryption::None,
        1 => Encryption::ChaCha20Poly1305,
        _ => return None,
    };
    let settings = TopicSettings { ttl_ms, compression, encryption, rules };
    check(&settings).ok().map(|()| settings)
}
