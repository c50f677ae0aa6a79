//! SQLite with the same keys and values: WAL, and as durable as what it stands beside.

use crate::measure::{Setting, seconds};
use crate::workload::Workload;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};

/// Values lie in the table and their keys in an index of their own: at 1 KiB that is faster than a table
/// that is its index.
const TABLES: &str = "
    CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE rows (key BLOB PRIMARY KEY, state BLOB, temperature BLOB, updated BLOB, version BLOB);
    CREATE TABLE chunks (object TEXT, number INTEGER, chunk BLOB NOT NULL, PRIMARY KEY (object, number));
    CREATE TABLE messages (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL);
    CREATE INDEX messages_of ON messages (topic, id);
    CREATE TABLE retained (topic TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;";
const CACHE_KIB: i64 = 256 << 10;
const PUT: &str = "INSERT OR REPLACE INTO kv VALUES (?, ?)";

/// A database in a directory that goes with it.
pub(crate) struct Sqlite {
    connection: Connection,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Sqlite {
    /// Makes a new one, whose commits are durable or not.
    pub(crate) fn create(setting: &Setting<'_>, durable: bool) -> anyhow::Result<Self> {
        let dir = setting.dir()?;
        let file = dir.path().join("peer.sqlite");
        let connection = open(&file)?;
        connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "OFF" })?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection, file, _dir: dir })
    }

    /// One transaction of `pairs`.
    pub(crate) fn put(&mut self, pairs: &[([u8; 16], &[u8])]) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(PUT)?;
            for (key, value) in pairs {
                put.execute(params![key, value])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// One transaction of rows whose columns all have this value.
    pub(crate) fn put_rows(&mut self, keys: &[[u8; 16]], value: &[u8]) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT OR REPLACE INTO rows VALUES (?, ?2, ?2, ?2, ?2)";
            let mut put = transaction.prepare_cached(sql)?;
            for key in keys {
                put.execute(params![key, value])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// One transaction of messages to these topics, each the newest of its topic.
    pub(crate) fn publish(&mut self, topics: &[&str], payload: &[u8]) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT INTO messages (topic, payload) VALUES (?, ?)";
            let mut publish = transaction.prepare_cached(sql)?;
            let mut retain =
                transaction.prepare_cached("INSERT OR REPLACE INTO retained VALUES (?, ?)")?;
            for topic in topics {
                publish.execute(params![topic, payload])?;
                retain.execute(params![topic, transaction.last_insert_rowid()])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Seconds that one object of so many chunks takes, in one transaction.
    pub(crate) fn put_object(&mut self, chunk: &[u8], chunks: usize) -> anyhow::Result<f64> {
        seconds(|| {
            let transaction = self.connection.transaction()?;
            {
                let sql = "INSERT OR REPLACE INTO chunks VALUES ('image', ?, ?)";
                let mut put = transaction.prepare_cached(sql)?;
                for number in 0..chunks {
                    put.execute(params![i64::try_from(number)?, chunk])?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    /// Seconds that reading that object takes.
    pub(crate) fn get_object(&self) -> anyhow::Result<f64> {
        seconds(|| {
            let sql = "SELECT chunk FROM chunks WHERE object = 'image' ORDER BY number";
            let mut chunks = self.connection.prepare_cached(sql)?;
            let mut rows = chunks.query([])?;
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                bytes += row.get_ref(0)?.as_blob()?.len();
            }
            anyhow::ensure!(bytes > 0, "nothing was read");
            Ok(())
        })
    }

    /// Where it is, for threads that read.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

/// A connection that reads.
pub(crate) struct SqliteReader(Connection);

impl SqliteReader {
    /// Opens one.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        open(file).map(Self)
    }

    /// `count` random reads in one transaction; returns the bytes read.
    pub(crate) fn gets(&self, workload: &mut Workload, count: u64) -> anyhow::Result<usize> {
        let transaction = self.0.unchecked_transaction()?;
        let mut get = transaction.prepare_cached("SELECT value FROM kv WHERE key = ?")?;
        let mut bytes = 0;
        for _ in 0..count {
            let mut rows = get.query(params![workload.random_key()])?;
            while let Some(row) = rows.next()? {
                bytes += row.get_ref(0)?.as_blob()?.len();
            }
        }
        Ok(bytes)
    }

    /// `count` scans of so many entries; returns the bytes read.
    pub(crate) fn scans(
        &self,
        workload: &mut Workload,
        (count, entries): (u64, usize),
    ) -> anyhow::Result<usize> {
        let transaction = self.0.unchecked_transaction()?;
        let sql = "SELECT value FROM kv WHERE key >= ? ORDER BY key LIMIT ?";
        let mut scan = transaction.prepare_cached(sql)?;
        let (mut bytes, entries) = (0, i64::try_from(entries)?);
        for _ in 0..count {
            let mut rows = scan.query(params![workload.random_key(), entries])?;
            while let Some(row) = rows.next()? {
                bytes += row.get_ref(0)?.as_blob()?.len();
            }
        }
        Ok(bytes)
    }
}

fn open(file: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}
