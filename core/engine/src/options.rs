//! What an engine is told when it opens.

use unison_base::limits::SEGMENT_BYTES_DEFAULT;
use unison_walfs::LogRole;

/// Sizes, bounds and policies of one engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// A memtable of this many bytes is flushed. Values are not in it: about 90 bytes an entry.
    pub memtable_bytes: usize,
    /// Most memtables that may wait for a flush before writes are refused.
    pub memtables_max: usize,
    /// A flush is due when the log since the checkpoint passes this many bytes: it bounds the time
    /// of a restart.
    pub checkpoint_log_bytes: u64,
    /// Most keys that one flush removes from the tree because they have expired or were trimmed, or as
    /// many as it writes, if that is more: the rest waits, hidden, for the next one.
    pub removed_keys_max: usize,
    /// A flush is due when something has been there for this long after it expired, milliseconds.
    pub removal_delay_ms: u64,
    /// Values up to this many bytes are copied into the tree; longer ones stay in the log.
    pub inline_value_bytes: usize,
    /// Size of new segment files, bytes.
    pub segment_bytes: u64,
    /// Whether this engine's records are its own or a leader's.
    pub role: LogRole,
    /// A segment that left the log is settled when less than this part of it is live.
    pub settle_below_percent: u8,
    /// Most bytes of values that one settling job copies.
    pub settle_job_bytes: u64,
    /// The log keeps at least this many bytes, if set.
    pub keep_bytes: Option<u64>,
    /// The log keeps at least this many milliseconds, if set.
    pub keep_ms: Option<u64>,
    /// A transaction that nothing was added to for this long is aborted, milliseconds.
    pub transaction_idle_ms: u64,
    /// A transaction that has been open for this long is aborted, milliseconds.
    pub transaction_total_ms: u64,
    /// A follower that is further behind than this no longer holds the log back, if set.
    pub follower_quota_bytes: Option<u64>,
}

impl Default for EngineOptions {
    /// What suits a hub.
    fn default() -> Self {
        Self {
            memtable_bytes: 64 << 20,
            memtables_max: 2,
            checkpoint_log_bytes: 256 << 20,
            removed_keys_max: 64 << 10,
            removal_delay_ms: 5 * 60 * 1_000,
            inline_value_bytes: 128,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            role: LogRole::Leader,
            settle_below_percent: 25,
            settle_job_bytes: 4 << 20,
            keep_bytes: None,
            keep_ms: None,
            transaction_idle_ms: 2 * 60 * 1_000,
            transaction_total_ms: 15 * 60 * 1_000,
            follower_quota_bytes: None,
        }
    }
}
