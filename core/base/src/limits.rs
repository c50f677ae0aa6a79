//! Every limit of the system, in one place. The same on every node, checked when a write comes in,
//! before it takes an LSN, and again when a record is read back.

/// Longest namespace name, bytes.
pub const NAMESPACE_NAME_MAX: usize = 64;
/// Longest key of any model, bytes, as the user gives it.
pub const KEY_MAX: usize = 4_096;
/// Longest name of a column, bytes of UTF-8.
pub const COLUMN_NAME_MAX: usize = 255;
/// Most columns that one update of a row names.
pub const ROW_COLUMNS_MAX: usize = 4_096;
/// Largest value kept inside one record, bytes; more than that is a large object.
pub const VALUE_MAX: usize = 4 << 20;
/// Most operations in one multi-entry record: keys, columns that are set or deleted, rows that are
/// deleted.
pub const BATCH_OPERATIONS_MAX: usize = 10_000;
/// Most bytes of keys, names of columns and values in one multi-entry record.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
/// Most bytes that one write takes in the index: the keys of its entries, in the index's own form,
/// and [`INDEX_ENTRY_BYTES`] each. The entries of a row are its columns, whose keys hold the row's
/// (each zero byte of it twice), and one for the row itself.
pub const INDEX_BYTES_MAX: usize = 5 << 20;
/// What an entry of the index takes beside its key, bytes.
pub const INDEX_ENTRY_BYTES: usize = 96;
/// Longest name of a topic, filter or pattern, bytes of UTF-8.
pub const TOPIC_NAME_MAX: usize = 4_096;
/// Most levels of a name of a topic, filter or pattern.
pub const TOPIC_LEVELS_MAX: usize = 64;
/// Most headers of a message.
pub const MESSAGE_HEADERS_MAX: usize = 64;
/// Longest name of a header, bytes of UTF-8.
pub const MESSAGE_HEADER_NAME_MAX: usize = 255;
/// Most bytes of names and values of one message's headers.
pub const MESSAGE_HEADERS_BYTES_MAX: usize = 64 << 10;
/// Most patterns that a namespace keeps messages of.
pub const PATTERNS_MAX: usize = 10_000;
/// Most rules in the settings of a namespace's topics.
pub const TOPIC_RULES_MAX: usize = 256;
/// Most bytes of the filters of those rules together.
pub const TOPIC_RULES_BYTES_MAX: usize = 64 << 10;
/// Most messages that a rule keeps of a topic; more of them are kept without a rule.
pub const KEEP_LAST_MAX: u32 = 65_536;
/// Most topics and patterns whose messages one read merges.
pub const READ_STREAMS_MAX: usize = 10_000;
/// Most bytes of one chunk of a large object.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;
/// Most bytes of a large object. One with a long key, or sent in small parts, meets
/// [`TRANSACTION_INDEX_BYTES_MAX`] earlier.
pub const OBJECT_BYTES_MAX: u64 = 16 << 30;
/// Most bytes that one transaction takes in the index, counted as for one write; a key that it
/// changes twice counts once.
pub const TRANSACTION_INDEX_BYTES_MAX: usize = 8 << 20;
/// Most bytes that all open transactions of a namespace take in the index together, each half a KiB
/// for itself.
pub const TRANSACTIONS_INDEX_BYTES_MAX: usize = 2 * TRANSACTION_INDEX_BYTES_MAX;
/// Most open transactions of a namespace.
pub const TRANSACTIONS_MAX: usize = 1_024;
/// Shortest and longest identity of a transaction in a log, bytes; ours have the least.
pub const TRANSACTION_ID_BYTES: core::ops::RangeInclusive<usize> = 16..=20;
/// Smallest segment file, bytes.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// Default segment file, bytes.
pub const SEGMENT_BYTES_DEFAULT: u64 = 16 << 20;
/// Largest segment file, bytes.
pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;
/// Bytes a record may need beside its keys and values: tables, vtables, vectors, padding.
pub const RECORD_OVERHEAD_MAX: usize = 256;
/// The same per entry of a multi-entry record.
pub const ENTRY_OVERHEAD_MAX: usize = 96;
/// The same per column of an update of a row.
pub const COLUMN_OVERHEAD_MAX: usize = 32;
/// Most namespaces on one node.
pub const NAMESPACES_MAX: usize = 10_000;
/// Most entries one page of a scan returns.
pub const SCAN_ENTRIES_MAX: usize = 10_000;
/// Most bytes of frames in one replication run.
pub const RUN_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(VALUE_MAX <= BATCH_BYTES_MAX);
const _: () = assert!(ROW_COLUMNS_MAX <= BATCH_OPERATIONS_MAX);
/// A batch of keys never meets the index's limit: in it a key has one byte more.
const _: () =
    assert!(BATCH_BYTES_MAX + BATCH_OPERATIONS_MAX * (1 + INDEX_ENTRY_BYTES) <= INDEX_BYTES_MAX);
/// So the largest object has room when its chunks are full and their keys have up to 32 bytes.
const _: () = assert!(
    OBJECT_BYTES_MAX / CHUNK_BYTES_MAX as u64 * (INDEX_ENTRY_BYTES as u64 + 32)
        <= TRANSACTION_INDEX_BYTES_MAX as u64
);
const _: () = assert!(CHUNK_BYTES_MAX <= VALUE_MAX);
const _: () = assert!(INDEX_BYTES_MAX <= TRANSACTION_INDEX_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MIN <= SEGMENT_BYTES_DEFAULT);
const _: () = assert!(SEGMENT_BYTES_DEFAULT <= SEGMENT_BYTES_MAX);
