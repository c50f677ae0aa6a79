//! redb alone, with the same keys and values.

use crate::workload::Workload;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;
use unison_base::checksum::crc32c;

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("data");
const CACHE_BYTES: usize = 256 << 20;

/// What is done with a value that was read. Returns a number that is not 0.
pub(crate) type Look = fn(&[u8]) -> usize;

/// All its bytes are read and checked, as ours are.
pub(crate) fn summed(value: &[u8]) -> usize {
    std::hint::black_box(crc32c(value));
    value.len()
}

/// A redb database file.
pub(crate) struct Redb(Database);

impl Redb {
    /// Makes a new one.
    pub(crate) fn create(dir: &Path) -> anyhow::Result<Self> {
        let mut builder = redb::Builder::new();
        Ok(Self(builder.set_cache_size(CACHE_BYTES).create(dir.join("peer.redb"))?))
    }

    /// One transaction of `pairs`, durable or not.
    pub(crate) fn put(&self, pairs: &[([u8; 16], Vec<u8>)], durable: bool) -> anyhow::Result<()> {
        let mut transaction = self.0.begin_write()?;
        if !durable {
            transaction.set_durability(Durability::None)?;
        }
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// `count` random reads in one read transaction; returns the bytes read.
    pub(crate) fn gets(
        &self,
        workload: &mut Workload,
        count: u64,
        look: Look,
    ) -> anyhow::Result<usize> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut bytes = 0;
        for _ in 0..count {
            let key = workload.random_key();
            bytes += table.get(key.as_slice())?.map_or(0, |value| look(value.value()));
        }
        Ok(bytes)
    }

    /// `count` scans of 100 entries; returns the bytes read.
    pub(crate) fn scans(
        &self,
        workload: &mut Workload,
        count: u64,
        look: Look,
    ) -> anyhow::Result<usize> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut bytes = 0;
        for _ in 0..count {
            let key = workload.random_key();
            for entry in table.range(key.as_slice()..)?.take(100) {
                bytes += look(entry?.1.value());
            }
        }
        Ok(bytes)
    }
}
