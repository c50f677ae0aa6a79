//! Settings of topics, and the trims that follow from them.

use super::Run;
use crate::topics::filter;
use std::ops::ControlFlow;
use unison_engine::{
    ChangeFilter, ChangeId, ChangeKind, Compression, Encryption, FOREVER, KEEP_ALL, Operation,
    TopicRule, TopicSettings, WriteError,
};

const FILTERS: [&str; 8] = ["#", "+", "a/#", "a/b", "+/+", "x/x", "$s/#", "a/+"];

impl Run {
    pub(super) fn set_topics(&mut self) {
        let mut rules: Vec<TopicRule> = Vec::new();
        for text in FILTERS {
            if self.prng.chance(30) {
                let ttl_ms = self.prng.chance(40).then(|| self.prng.between(100, 300));
                let keep_last = self.prng.chance(60).then(|| self.prng.between(1, 4) as u32);
                rules.push(TopicRule {
                    filter: filter(text),
                    ttl_ms: ttl_ms.map(|ttl| if ttl > 270 { FOREVER } else { ttl }),
                    keep_last: keep_last.map(|keep| if keep == 4 { KEEP_ALL } else { keep }),
                });
            }
        }
        let ttl_ms = self.prng.chance(30).then(|| self.prng.between(50, 300));
        let compression = match self.prng.chance(50) {
            true => Compression::Lz4,
            false => Compression::None,
        };
        let encryption = match self.prng.chance(50) {
            true => Encryption::ChaCha20Poly1305,
            false => Encryption::None,
        };
        let settings = TopicSettings { ttl_ms, compression, encryption, rules };
        if let Some(lsn) = self.write(Operation::SetTopics(&settings)) {
            self.model.settings.push((lsn, settings));
            self.happened.settings += 1;
        }
    }

    pub(super) fn trim_by_rules(&mut self) {
        let now_ms = self.now_ms;
        match self.engine().trim_topics(now_ms) {
            Ok(_) => {}
            Err(error) => assert!(matches!(error, WriteError::Busy(_)), "{error}"),
        }
    }

    /// Tells the model of the trims among what is visible that nobody asked for.
    pub(super) fn learn_trims(&mut self) {
        let mut trims = Vec::new();
        let mut changes = self.engine().reader().changes(ChangeFilter::default(), self.trims_to);
        let read = changes.read(usize::MAX, &mut |change| {
            if change.kind == ChangeKind::Trim {
                let topic = std::str::from_utf8(change.key).unwrap();
                trims.push((change.id.lsn, topic.to_owned(), change.is_of_pattern));
            }
            ControlFlow::Continue(())
        });
        read.unwrap();
        self.trims_to = changes.position();
        for (lsn, topic, is_pattern) in trims {
            if !self.asked_trims.contains(&lsn) {
                self.happened.kept += self.model.trimmed_by_rule(lsn, &topic, is_pattern);
            }
        }
    }

    /// As above, of what is staged too.
    pub(super) fn learn_all_trims(&mut self) {
        self.append_only();
        self.learn_trims();
    }

    /// Forgets what a cut took.
    pub(super) fn forget_trims(&mut self) {
        let last = self.engine().appended();
        self.asked_trims.retain(|lsn| *lsn <= last);
        if self.trims_to.lsn > last {
            self.trims_to = ChangeId::whole(last);
        }
    }
}
