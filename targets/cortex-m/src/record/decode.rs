//! Reads records that came from a medium or a peer. Nothing of a record is used before all of it was
//! looked at.

use super::flat::{Malformed, Table};
use unison_base::checksum::Crc32;
use unison_base::{Hlc, Lsn};

const LSN: usize = 0;
const HLC: usize = 1;
const CRC: usize = 2;
const OPERATION: usize = 3;
const TRANSACTION: usize = 4;
const ENTRY_TYPE: usize = 5;
const ENTRIES: usize = 8;
const ENTRY: usize = 0;
const KEY: usize = 0;
const VALUE: usize = 1;

/// Why a payload is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Its bytes are no FlatBuffer of a record.
    #[error("the bytes are no record")]
    Malformed,
    /// The checksum of its entries is another.
    #[error("the checksum of the entries is wrong")]
    Checksum,
}

impl From<Malformed> for RecordError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// What a record means to a table of last values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sets the keys of its entries.
    Put,
    /// Removes the keys of its entries.
    Delete,
    /// Says nothing.
    Nothing,
    /// Stored for those that understand it.
    Foreign,
}

/// A checked record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    table: Table<'a>,
    /// Its LSN.
    pub lsn: Lsn,
    /// When its leader made it.
    pub hlc: Hlc,
    /// What it means.
    pub kind: Kind,
}

/// A key, in storage form, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key with its prefix.
    pub key: &'a [u8],
    /// The value; empty in a delete.
    pub value: &'a [u8],
}

/// Checks a record, its entries included.
///
/// # Errors
/// See [`RecordError`].
pub fn decode(payload: &[u8]) -> Result<Record<'_>, RecordError> {
    let table = Table::root(payload)?;
    let [operation] = table.number(OPERATION)?;
    let [transaction] = table.number(TRANSACTION)?;
    let [entry_type] = table.number(ENTRY_TYPE)?;
    let kind = match (operation, transaction, entry_type) {
        (0, 0, _) => Kind::Nothing,
        (1, 0, 0) => Kind::Put,
        (2, 0, 0) => Kind::Delete,
        _ => Kind::Foreign,
    };
    let lsn = Lsn(u64::from_le_bytes(table.number(LSN)?));
    let hlc = Hlc(u64::from_le_bytes(table.number(HLC)?));
    let record = Record { table, lsn, hlc, kind };
    record.check()?;
    Ok(record)
}

impl<'a> Record<'a> {
    fn check(&self) -> Result<(), RecordError> {
        let stored = u32::from_le_bytes(self.table.number(CRC)?);
        let mut checksum = Crc32::default();
        for bytes in self.nested()? {
            let bytes = bytes?;
            checksum.update(bytes);
            if matches!(self.kind, Kind::Put | Kind::Delete) {
                entry(bytes)?;
            }
        }
        // A foreign leader writes none.
        if stored != 0 && stored != checksum.finish() {
            return Err(RecordError::Checksum);
        }
        Ok(())
    }

    fn nested(
        &self,
    ) -> Result<impl Iterator<Item = Result<&'a [u8], Malformed>> + use<'a>, Malformed> {
        let entries = self.table.tables(ENTRIES)?;
        Ok(entries.iter().map(|table| Ok(table?.bytes(ENTRY)?.unwrap_or_default())))
    }

    /// Keys and values of a [put](Kind::Put) or a [delete](Kind::Delete); nothing of any other kind.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let wanted = matches!(self.kind, Kind::Put | Kind::Delete);
        let nested = wanted.then(|| self.nested().ok()).flatten();
        nested.into_iter().flatten().filter_map(|bytes| entry(bytes.ok()?).ok().flatten())
    }
}

/// `None` for an entry without a key, which means nothing.
fn entry(bytes: &[u8]) -> Result<Option<Entry<'_>>, Malformed> {
    let table = Table::root(bytes)?;
    let value = table.bytes(VALUE)?.unwrap_or_default();
    Ok(table.bytes(KEY)?.map(|key| Entry { key, value }))
}
