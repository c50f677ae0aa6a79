//! What clients did and what came of it, counted.

/// Counts of what clients did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Transactions committed.
    pub commits: u64,
    /// Of those, with writes to several models.
    pub mixed_commits: u64,
    /// Commits and writes whose condition did not hold.
    pub conflicts: u64,
    /// Transactions that their clients aborted.
    pub aborts: u64,
    /// Transactions that timed out.
    pub timed_out: u64,
    /// Transactions that the end of the hub's process ended.
    pub ended_by_restart: u64,
    /// Transactions that a failed append ended.
    pub failed: u64,
    /// Records written while two transactions or more were open.
    pub interleaved: u64,
    /// Large objects written.
    pub objects: u64,
    /// Of those, in the place of another one.
    pub objects_replaced: u64,
    /// Large objects deleted.
    pub objects_deleted: u64,
    /// Messages published to topics.
    pub messages: u64,
    /// Messages published to patterns.
    pub pattern_messages: u64,
    /// Messages deleted or trimmed.
    pub messages_removed: u64,
    /// Times that the watermark of expiry was raised.
    pub raised: u64,
    /// Of those, because a row was written that had expired by the clock alone.
    pub raised_late: u64,
    /// Keys that were gone with it.
    pub expired_keys: u64,
    /// Rows that were gone with it.
    pub expired_rows: u64,
    /// Messages that were gone with it.
    pub expired_messages: u64,
    /// Flushes for nothing but what expired long ago.
    pub freed: u64,
    /// Looks at states of the past.
    pub past_looks: u64,
}

impl Happened {
    /// Each count with its name.
    pub(super) const fn named(&self) -> [(&'static str, u64); 21] {
        [
            ("commits", self.commits),
            ("mixed commits", self.mixed_commits),
            ("conflicts", self.conflicts),
            ("aborts", self.aborts),
            ("timed out", self.timed_out),
            ("ended by restart", self.ended_by_restart),
            ("ended by failure", self.failed),
            ("interleaved", self.interleaved),
            ("objects", self.objects),
            ("objects replaced", self.objects_replaced),
            ("objects deleted", self.objects_deleted),
            ("messages", self.messages),
            ("pattern messages", self.pattern_messages),
            ("messages removed", self.messages_removed),
            ("watermark raised", self.raised),
            ("raised late", self.raised_late),
            ("expired keys", self.expired_keys),
            ("expired rows", self.expired_rows),
            ("expired messages", self.expired_messages),
            ("freed", self.freed),
            ("looks at the past", self.past_looks),
        ]
    }

    /// Adds what happened elsewhere.
    pub(super) const fn add(&mut self, more: &Self) {
        self.commits += more.commits;
        self.mixed_commits += more.mixed_commits;
        self.conflicts += more.conflicts;
        self.aborts += more.aborts;
        self.timed_out += more.timed_out;
        self.ended_by_restart += more.ended_by_restart;
        self.failed += more.failed;
        self.interleaved += more.interleaved;
        self.objects += more.objects;
        self.objects_replaced += more.objects_replaced;
        self.objects_deleted += more.objects_deleted;
        self.messages += more.messages;
        self.pattern_messages += more.pattern_messages;
        self.messages_removed += more.messages_removed;
        self.raised += more.raised;
        self.raised_late += more.raised_late;
        self.expired_keys += more.expired_keys;
        self.expired_rows += more.expired_rows;
        self.expired_messages += more.expired_messages;
        self.freed += more.freed;
        self.past_looks += more.past_looks;
    }
}
