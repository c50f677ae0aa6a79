//! Writes records of keys and values and of rows, one or many entries, without the general builder.
//!
//! ```text
//!   0  root u32 -> 28
//!   4  vtable of LogRecord, 24 bytes
//!  28  table: LSN @32, HLC @40, durable_lsn @48, crc32 @56, entries @60 -> 76, three enums @64
//!  68  vtable of EncodedEntry, 6 bytes, shared by all entries
//!  76  entries: count u32, then an offset u32 for each
//!      for each entry, from an offset of 4 modulo 8:
//!        table of EncodedEntry, 8 bytes; length u32; the entry, a FlatBuffer of its own:
//!          0  root u32 -> 12
//!          4  vtable of KeyValueEntry, 8 bytes
//!         12  table: soffset, key -> 24, value
//!         24  key: length u32, bytes, padding to 4; value: length u32, bytes
//! ```
//!
//! A row's entry has columns in the value's place ([`super::encode_row`]). An entry that expires has
//! a vtable of its own behind the first one, and a field more:
//!
//! ```text
//!          0  root u32 -> 24
//!          4  vtable as above, for the columns of a row
//!         12  vtable of an entry that expires, 10 bytes
//!         24  table: soffset, key -> 44, expires_at @32, value
//!         44  key, then as above
//! ```
//!
//! The table of a record of a
//! transaction has two fields more, so all that follows it lies eight bytes further on: the
//! transaction's identity, and the place of its record before. Both lie behind the entries.
//!
//! So every number lies aligned, within the entry too, wherever a frame is mapped.

use crate::models::object;
use alloc::vec::Vec;
use unison_base::bytes::put;
use unison_base::checksum::Crc32;
use unison_base::limits::TRANSACTION_ID_BYTES;
use unison_base::{Hlc, Lsn, Position};
use unison_schemas::{EntryType, OperationType, TxnState};

const LSN_AT: usize = 32;
const HLC_AT: usize = 40;
const DURABLE_AT: usize = 48;
const CRC_AT: usize = 56;
const KIND_AT: usize = 64;
const ENTRY_VTABLE_AT: usize = 68;
const ENTRIES_AT: usize = 76;
const OFFSETS_AT: usize = 80;
/// The same where a record of a transaction differs, and what its table and vtable have more.
const TABLE_BYTES_AT: usize = 6;
const TXN_ID_IN_VTABLE: usize = 20;
const TXN_ID_AT: usize = 68;
const TXN_PREVIOUS_AT: usize = 72;
const TXN_BYTES: usize = 8;
const TABLE_AT: usize = 28;
const TXN_TABLE_BYTES: [u8; 2] = [48, 0];

/// The first 76 bytes, numbers that differ between records left zero.
const HEAD: [u8; ENTRIES_AT] = head();
/// Table, length and first 24 bytes of an entry, numbers that differ left zero.
const ENTRY: [u8; 36] = entry();
/// The same of an entry that expires: 44 bytes of it.
const EXPIRING_ENTRY: [u8; 56] = expiring_entry();
const ENTRY_TABLE_BYTES: usize = 8;
/// The place of the record before, the last bytes of a record of a transaction.
const PLACE_BYTES: usize = 12;
/// Where the nested buffer starts, from the start of the entry's table.
const NESTED_AT: usize = 12;
/// From the start of the nested buffer: its vtable, which has two fields; the second one's place in
/// it; and that field.
pub(super) const VTABLE_AT: usize = 4;
const PLAIN: SecondField = SecondField { in_vtable: 10, at: 20 };
const EXPIRING: SecondField = SecondField { in_vtable: 18, at: 40 };
/// When it expires, in the nested buffer of an entry that does.
const EXPIRES_AT: usize = 32;

/// Where the second field of an entry is named and where it lies, from the start of the nested buffer.
struct SecondField {
    in_vtable: usize,
    at: usize,
}

const fn head() -> [u8; ENTRIES_AT] {
    let words: [u16; ENTRIES_AT / 2] = [
        28, 0, // root
        24, 40, // vtable: its size, the table's size
        4, 12, 28, 36, 37, 38, 0, 0, 32, 20, // fields 0 to 9, from the table's start
        24, 0, // table: back to the vtable
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // LSN, HLC, durable LSN, CRC
        16, 0, // entries
        0, 0, // operation type, transaction state, entry type, padding
        6, 8, 4, 0, // vtable of an entry, padding
    ];
    little_endian(words)
}

const fn entry() -> [u8; 36] {
    little_endian::<18, 36>([
        0, 0, // back to the vtable
        4, 0, // entry
        0, 0, // length
        12, 0, // nested root
        8, 12, 4, 8, // vtable of a key-value entry
        8, 0, // table: back to the vtable
        8, 0, // key
        0, 0, // value
    ])
}

const fn expiring_entry() -> [u8; 56] {
    little_endian::<28, 56>([
        0, 0, // back to the vtable
        4, 0, // entry
        0, 0, // length
        24, 0, // nested root
        8, 12, 4, 8, // vtable of a column
        10, 20, 4, 16, 8, 0, // vtable of an entry that expires, padding
        12, 0, // table: back to the vtable
        16, 0, // key
        0, 0, 0, 0, // when it expires
        0, 0, // value
    ])
}

#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
const fn little_endian<const WORDS: usize, const BYTES: usize>(words: [u16; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let mut index = 0;
    while index < WORDS {
        let word = words[index].to_le_bytes();
        bytes[2 * index] = word[0];
        bytes[2 * index + 1] = word[1];
        index += 1;
    }
    bytes
}

/// What a record says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) lsn: Lsn,
    pub(crate) hlc: Hlc,
    /// The log's durable watermark when the record is made.
    pub(crate) durable: Lsn,
    pub(crate) operation: OperationType,
    pub(crate) entry: EntryType,
    pub(crate) transaction: Option<InTransaction>,
}

/// What a record says about the transaction that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InTransaction {
    pub(crate) id: IdBytes,
    pub(crate) state: TxnState,
    /// Where the transaction's record before this one is.
    pub(crate) previous: Option<Position>,
}

/// The identity of a transaction in a log: another program's may be longer than ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdBytes {
    length: usize,
    bytes: [u8; *TRANSACTION_ID_BYTES.end()],
}

impl IdBytes {
    /// Of a longer one, which there is not, the first bytes.
    pub(crate) fn new(id: &[u8]) -> Self {
        let (mut length, mut bytes) = (0, [0; *TRANSACTION_ID_BYTES.end()]);
        for (target, &byte) in bytes.iter_mut().zip(id) {
            (*target, length) = (byte, length + 1);
        }
        Self { length, bytes }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Bytes within a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

/// Makes records in one buffer that it keeps.
#[derive(Default)]
pub(crate) struct Encoder {
    pub(super) bytes: Vec<u8>,
    pub(super) values: Vec<Span>,
    entries: usize,
    /// When the entries that follow expire; 0 = they do not say.
    expires_at: u64,
    checksum: Crc32,
    /// How much further on than in a record without a transaction everything behind the table lies.
    shift: usize,
    transaction: Option<InTransaction>,
}

impl Encoder {
    /// Starts a record of `entries` entries.
    pub(crate) fn begin(&mut self, head: &Head, entries: usize) {
        self.bytes.clear();
        self.values.clear();
        self.entries = 0;
        self.expires_at = 0;
        self.checksum = Crc32::default();
        self.transaction = head.transaction;
        self.shift = 0;
        self.bytes.extend_from_slice(&HEAD);
        self.patch(LSN_AT, &head.lsn.0.to_le_bytes());
        self.patch(HLC_AT, &head.hlc.0.to_le_bytes());
        self.patch(DURABLE_AT, &head.durable.0.saturating_add(1).to_le_bytes());
        let state = head.transaction.map_or(TxnState::None, |part| part.state);
        self.patch(KIND_AT, &[head.operation.0, state.0, head.entry.0]);
        if let Some(part) = head.transaction {
            self.make_place_for(&part);
        }
        self.bytes.extend_from_slice(&count(entries).to_le_bytes());
        self.bytes.resize(self.offsets_at().saturating_add(entries.saturating_mul(4)), 0);
    }

    /// Makes the table longer by two fields, which the entries' vtable lies behind.
    fn make_place_for(&mut self, part: &InTransaction) {
        let entry_vtable = self.bytes.split_off(ENTRY_VTABLE_AT);
        self.shift = TXN_BYTES;
        self.bytes.resize(ENTRY_VTABLE_AT + TXN_BYTES, 0);
        self.bytes.extend_from_slice(&entry_vtable);
        self.patch(TABLE_BYTES_AT, &TXN_TABLE_BYTES);
        let field = |at: usize| u16::try_from(at - TABLE_AT).unwrap_or_default().to_le_bytes();
        self.patch(TXN_ID_IN_VTABLE, &field(TXN_ID_AT));
        if part.previous.is_some() {
            self.patch(TXN_ID_IN_VTABLE + 2, &field(TXN_PREVIOUS_AT));
        }
        let entries = count(ENTRIES_AT + TXN_BYTES - (CRC_AT + 4));
        self.patch(CRC_AT + 4, &entries.to_le_bytes());
    }

    fn offsets_at(&self) -> usize {
        OFFSETS_AT + self.shift
    }

    /// Says of the entries that follow when they expire; 0 = they do not say.
    pub(crate) fn expires_at(&mut self, ms: u64) {
        self.expires_at = ms;
    }

    /// Adds an entry: the key's prefix and the user's key, and a value unless it is a delete.
    pub(crate) fn entry(&mut self, prefix: u8, key: &[u8], value: Option<&[u8]>) {
        let nested = self.begin_entry(&[prefix], key);
        let span = self.value(nested, value);
        self.values.push(span);
        self.end_entry(nested);
    }

    /// Adds the entry that raises the watermark of expiry: no key, and the time.
    pub(crate) fn watermark(&mut self, ms: u64) {
        let nested = self.begin_entry(&[], &[]);
        let span = self.value(nested, Some(&ms.to_le_bytes()));
        self.values.push(span);
        self.end_entry(nested);
    }

    /// Adds an entry of a large object, with a chunk unless it is deleted.
    pub(crate) fn object(&mut self, object: &[u8], chunk: Option<&[u8]>) {
        let nested = self.begin_entry(&[], &object::to_log(object));
        let span = self.value(nested, chunk);
        self.values.push(span);
        self.end_entry(nested);
    }

    /// Adds an entry with a key in the log's form and a value of no bytes.
    pub(crate) fn blank(&mut self, key: &[u8]) {
        let nested = self.begin_entry(&[], key);
        let span = self.value(nested, Some(&[]));
        self.values.push(span);
        self.end_entry(nested);
    }

    /// Starts an entry and its key, in two parts. Returns where the nested buffer starts.
    pub(super) fn begin_entry(&mut self, prefix: &[u8], key: &[u8]) -> usize {
        let table = (self.bytes.len() + 3) / 8 * 8 + 4;
        self.bytes.resize(table, 0);
        let slot = self.offsets_at() + 4 * self.entries;
        self.entries += 1;
        self.patch(slot, &count(table - slot).to_le_bytes());
        match self.expires_at {
            0 => self.bytes.extend_from_slice(&ENTRY),
            ms => {
                self.bytes.extend_from_slice(&EXPIRING_ENTRY);
                self.patch(table + NESTED_AT + EXPIRES_AT, &ms.to_le_bytes());
            }
        }
        self.patch(table, &count(table - ENTRY_VTABLE_AT - self.shift).to_le_bytes());
        self.bytes.extend_from_slice(&count(prefix.len() + key.len()).to_le_bytes());
        self.bytes.extend_from_slice(prefix);
        self.bytes.extend_from_slice(key);
        table + NESTED_AT
    }

    pub(super) fn end_entry(&mut self, nested: usize) {
        let length = self.bytes.len() - nested;
        let table = nested - NESTED_AT;
        self.patch(table + ENTRY_TABLE_BYTES, &count(length).to_le_bytes());
        self.checksum.update(self.bytes.get(nested..).unwrap_or_default());
    }

    /// Adds an entry that is finished already.
    pub(super) fn nested(&mut self, entry: &[u8]) {
        let nested = self.begin_entry(&[], &[]);
        // Its own table and key are not wanted.
        self.bytes.truncate(nested);
        self.bytes.extend_from_slice(entry);
        self.end_entry(nested);
    }

    fn value(&mut self, nested: usize, value: Option<&[u8]>) -> Span {
        let Some(value) = value else {
            // The vtable says that there is none.
            self.patch(nested + self.second_field().in_vtable, &[0, 0]);
            return Span::default();
        };
        self.begin_second_field(nested);
        self.vector(value)
    }

    const fn second_field(&self) -> SecondField {
        if self.expires_at == 0 { PLAIN } else { EXPIRING }
    }

    /// Makes an entry's second field point to what is written next.
    pub(super) fn begin_second_field(&mut self, nested: usize) {
        self.aligned_slot(nested + self.second_field().at);
    }

    /// Makes the offset at `slot` point to the next aligned byte, where something is written next.
    pub(super) fn aligned_slot(&mut self, slot: usize) {
        let target = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(target, 0);
        self.patch(slot, &count(target - slot).to_le_bytes());
    }

    /// Writes a vector of bytes. Returns where the bytes lie.
    pub(super) fn vector(&mut self, bytes: &[u8]) -> Span {
        self.bytes.extend_from_slice(&count(bytes.len()).to_le_bytes());
        let span = Span { offset: count(self.bytes.len()), length: count(bytes.len()) };
        self.bytes.extend_from_slice(bytes);
        span
    }

    /// Ends the record.
    pub(crate) fn finish(&mut self) {
        if let Some(part) = self.transaction {
            self.aligned_slot(TXN_ID_AT);
            self.vector(part.id.as_bytes());
            if let Some(previous) = part.previous {
                self.aligned_slot(TXN_PREVIOUS_AT);
                self.vector(&encoded(previous));
            }
        }
        let checksum = core::mem::take(&mut self.checksum).finish();
        self.patch(CRC_AT, &checksum.to_le_bytes());
    }

    /// Says of a finished record of a transaction, which has one before it, that this one is there.
    pub(crate) fn follows(&mut self, previous: Position) {
        let at = self.bytes.len().saturating_sub(PLACE_BYTES);
        self.patch(at, &encoded(previous));
    }

    /// The record.
    pub(crate) fn record(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each value lies in the record, in the order in which they were added.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.values
    }

    /// Gives memory back that a rare large record took.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if self.bytes.capacity() > bytes {
            self.bytes.clear();
            self.bytes.shrink_to(bytes);
        }
    }

    pub(super) fn patch(&mut self, at: usize, bytes: &[u8]) {
        let written = put(&mut self.bytes, at, bytes);
        debug_assert!(written.is_some());
    }
}

/// A place in the log as a record holds it: segment u32, offset u64, little-endian.
fn encoded(place: Position) -> [u8; PLACE_BYTES] {
    let mut bytes = [0; PLACE_BYTES];
    let _ = put(&mut bytes, 0, &place.segment.0.to_le_bytes());
    let _ = put(&mut bytes, 4, &u64::from(place.offset).to_le_bytes());
    bytes
}

/// Records are bounded by the limits of a batch, far below 4 GiB.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
