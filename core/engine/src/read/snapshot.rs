//! One state, held.

use super::messages::{MessageLimits, MessageRequest, Messages, RetainedMessages};
use super::object::{Object, ObjectScan, ObjectScanRequest};
use super::own::record_of;
use super::reader::Shared;
use super::reader::storage_key;
use super::row::Row;
use super::rows::{RowScan, RowScanRequest};
use super::rules::{Known, rules_at};
use super::scan::{Scan, ScanRequest};
use super::seal::{NewestSeal, newest_epoch};
use super::topics::Topics;
use super::value::{Pin, ValueRef};
use super::view::View;
use crate::errors::ReadError;
use crate::expiry::At;
use crate::models::topic::name::TopicFilter;
use crate::models::topic::patterns::Patterns;
use crate::models::topic::settings::TopicSettings;
use crate::seal::{Keyring, Opener, Wrapped};
use alloc::sync::Arc;
use core::fmt;
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// The state of a namespace at one LSN.
pub struct Snapshot<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    at: At,
    patterns: Arc<Patterns>,
    /// The newest settings of topics.
    rules: Known,
    keys: Arc<Keyring>,
}

impl<S: SegmentStore> Snapshot<S> {
    /// The rest comes after the view: what the state does not know of it has no messages in it.
    pub(crate) fn new(view: Arc<View>, at: At, shared: &Shared<S>) -> Self {
        let log = shared.log.clone();
        let (patterns, keys) = (shared.patterns.load(), shared.keys.load());
        let rules = shared.rules.with(Known::clone);
        Self { pin: Arc::new(Pin { view, log }), at, patterns, rules, keys }
    }

    /// The newest record in it.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        record_of(self.at.lsn)
    }

    /// The watermark of expiry in it, milliseconds since 1970: what expires up to then is gone.
    #[must_use]
    pub fn expired_to(&self) -> u64 {
        self.pin.view.watermark(self.at.lsn)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`]; what the log or the tree says when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueRef<S>>, ReadError> {
        let found = self.pin.view.find(storage_key(key)?.as_bytes(), self.at)?;
        Ok(found.map(|found| found.lazy(&self.pin)))
    }

    /// Keys and values in key order. A page ends where the caller stops; the next one starts behind
    /// the last key (`Bound::Excluded`).
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn scan(&self, request: ScanRequest<'_>) -> Result<Scan<S>, ReadError> {
        Scan::new(Arc::clone(&self.pin), self.at, &request)
    }

    /// A row; `None` when it has no column.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`]; what the tree says when it cannot be read.
    pub fn row(&self, row: &[u8]) -> Result<Option<Row<S>>, ReadError> {
        Row::find(&self.pin, row, self.at)
    }

    /// The cells of rows, in the order of rows, and within a row of columns.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn rows(&self, request: RowScanRequest<'_>) -> Result<RowScan<S>, ReadError> {
        RowScan::new(Arc::clone(&self.pin), self.at, &request)
    }

    /// Messages in the order of time.
    ///
    /// # Errors
    /// [`ReadError::Streams`]; what the tree says when it cannot be read.
    pub fn messages(&self, request: MessageRequest<'_>) -> Result<Messages<S>, ReadError> {
        self.messages_within(request, MessageLimits::default())
    }

    /// As [`messages`](Self::messages), for a reader that has less memory and less time. The iterator
    /// ends with [`ReadError::MessageSize`] at a message above the limit, and with [`ReadError::Keys`]
    /// when it has looked at so many.
    ///
    /// # Errors
    /// As [`messages`](Self::messages), and [`ReadError::Names`] and [`ReadError::Keys`].
    pub fn messages_within(
        &self,
        request: MessageRequest<'_>,
        limits: MessageLimits,
    ) -> Result<Messages<S>, ReadError> {
        let rules = rules_at(&self.pin, &self.rules, self.at.lsn)?;
        let opener = Opener::within(Arc::clone(&self.keys), limits.message_bytes);
        Messages::new(&self.pin, self.at, (&self.patterns, rules, opener), (&request, limits))
    }

    /// As [`messages`](Self::messages), of these topics and patterns (`true`) alone, whatever the
    /// request's filter says. One that is not there has no messages.
    ///
    /// # Errors
    /// As [`messages`](Self::messages).
    pub fn messages_of<'a>(
        &self,
        streams: impl Iterator<Item = (&'a str, bool)>,
        request: MessageRequest<'_>,
    ) -> Result<Messages<S>, ReadError> {
        let rules = rules_at(&self.pin, &self.rules, self.at.lsn)?;
        let opening = (rules, Opener::new(Arc::clone(&self.keys)));
        Messages::of(&self.pin, self.at, opening, streams, (&request, MessageLimits::default()))
    }

    /// The topics that a filter finds, behind `after`, in the order of their levels.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn topics(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
    ) -> Result<Topics<S>, ReadError> {
        self.topics_within(filter, after, usize::MAX)
    }

    /// As [`topics`](Self::topics), for a reader that has less time: the iterator ends with
    /// [`ReadError::Names`] when it has looked at so many names.
    ///
    /// # Errors
    /// As [`topics`](Self::topics).
    pub fn topics_within(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        names: usize,
    ) -> Result<Topics<S>, ReadError> {
        Topics::new(&self.pin, self.at, filter, (after, names))
    }

    /// The retained messages of the topics that a filter finds, behind `after`. One that has expired
    /// is not there, nor one that was deleted or trimmed: no older one takes its place.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn retained(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
    ) -> Result<RetainedMessages<S>, ReadError> {
        self.retained_within(filter, after, MessageLimits::default())
    }

    /// As [`retained`](Self::retained), for a reader that has less memory and less time. The iterator
    /// ends with [`ReadError::MessageSize`], [`ReadError::Names`] or [`ReadError::Keys`] where a limit
    /// is.
    ///
    /// # Errors
    /// As [`retained`](Self::retained).
    pub fn retained_within(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        limits: MessageLimits,
    ) -> Result<RetainedMessages<S>, ReadError> {
        let rules = rules_at(&self.pin, &self.rules, self.at.lsn)?;
        let opener = Opener::within(Arc::clone(&self.keys), limits.message_bytes);
        RetainedMessages::new(&self.pin, self.at, (rules, opener), (filter, after, limits))
    }

    /// The newest key that messages are sealed with, and whether this node can open it; `None` where
    /// nothing was ever sealed.
    ///
    /// # Errors
    /// What the log or the tree says when it cannot be read.
    pub fn newest_seal(&self) -> Result<Option<NewestSeal>, ReadError> {
        let newest = newest_epoch(&self.pin, self.at)?;
        let seal =
            |Wrapped { epoch, key, .. }| NewestSeal { epoch, key, known: self.keys.knows(key) };
        Ok(newest.map(seal))
    }

    /// What holds for topics.
    ///
    /// # Errors
    /// What the log or the tree says when it cannot be read.
    pub fn topic_settings(&self) -> Result<TopicSettings, ReadError> {
        let rules = rules_at(&self.pin, &self.rules, self.at.lsn)?;
        Ok(rules.settings().clone())
    }

    /// A large object.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`]; what the tree says when it cannot be read.
    pub fn object(&self, key: &[u8]) -> Result<Option<Object<S>>, ReadError> {
        Object::find(&self.pin, key, self.at)
    }

    /// Large objects in the order of their keys.
    #[must_use]
    pub fn objects(&self, request: ObjectScanRequest<'_>) -> ObjectScan<S> {
        ObjectScan::new(Arc::clone(&self.pin), self.at, &request)
    }

    /// How many keys of the key-value model there are, exactly.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn count(&self) -> Result<u64, ReadError> {
        let counted = super::count::count::<S>(&self.pin.view, self.at, &mut || true)?;
        Ok(counted.map_or(0, |counted| counted.keys))
    }
}

impl<S: SegmentStore> Clone for Snapshot<S> {
    fn clone(&self) -> Self {
        let Self { pin, at, patterns, rules, keys } = self;
        let (pin, patterns, keys) = (Arc::clone(pin), Arc::clone(patterns), Arc::clone(keys));
        Self { pin, at: *at, patterns, rules: rules.clone(), keys }
    }
}

impl<S: SegmentStore> fmt::Debug for Snapshot<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("lsn", &self.lsn()).finish_non_exhaustive()
    }
}
