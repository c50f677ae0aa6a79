//! The other models beside what the machine, redb alone or SQLite does with the same bytes: rows,
//! transactions, large objects, topics.

use crate::floor::RawLog;
use crate::measure::{Setting, seconds};
use crate::peer::Redb;
use crate::report::Report;
use crate::sqlite::Sqlite;
use crate::store::Bench;
use crate::workload::Workload;
use unison_base::TxnId;
use unison_base::limits::CHUNK_BYTES_MAX;
use unison_engine::{ColumnValues, NewMessage, Operation, Write};
use unison_linux::store::Durability;

const BATCH: usize = 100;
const BATCHES: usize = 500;
const COLUMNS: [&str; 4] = ["state", "temperature", "updated", "version"];
const COLUMN_BYTES: usize = 64;
const TRANSACTION_PUTS: usize = 10;
const TRANSACTIONS: usize = 1_000;
const OBJECT_CHUNKS: usize = 1_024;
const TOPICS: usize = 1_000;
const PAYLOAD_BYTES: usize = 128;

/// Every other model.
pub(crate) fn all(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    rows(setting, report)?;
    transactions(setting, report)?;
    objects(setting, report)?;
    topics(setting, report)
}

/// Rows of four columns against redb with one key for each column.
fn rows(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let value = vec![7; COLUMN_BYTES];
    let columns = COLUMNS.map(|name| (name, value.as_slice()));
    let ours = setting.median(|| {
        let bench = Bench::open(setting, Durability::Never)?;
        let elapsed = seconds(|| {
            for batch in 0..BATCHES {
                let keys: Vec<_> =
                    (0..BATCH).map(|row| Workload::key((batch * BATCH + row) as u64)).collect();
                let rows: Vec<_> =
                    keys.iter().map(|row| ColumnValues { row, columns: &columns }).collect();
                bench.namespace.write(&Write::new(Operation::PutColumns(&rows)))?;
            }
            Ok(())
        })?;
        bench.store.close()?;
        Ok((BATCHES * BATCH) as f64 / elapsed)
    })?;
    let cells = BATCH * COLUMNS.len();
    let redb = setting.median(|| {
        Ok(redb_batches(setting, (BATCHES, cells), COLUMN_BYTES, false)? / COLUMNS.len() as f64)
    })?;
    let sqlite = setting.median(|| {
        let mut peer = Sqlite::create(setting, false)?;
        let elapsed = seconds(|| {
            for batch in 0..BATCHES {
                let keys = (0..BATCH).map(|row| Workload::key((batch * BATCH + row) as u64));
                peer.put_rows(&keys.collect::<Vec<_>>(), &value)?;
            }
            Ok(())
        })?;
        Ok((BATCHES * BATCH) as f64 / elapsed)
    })?;
    let what = format!("rows of 4 columns, {BATCH} a batch, unsynced");
    report.rate(&what, ours, "redb", redb);
    report.rate(&what, ours, "SQLite", sqlite);
    Ok(())
}

/// Keys a second that redb takes in batches.
fn redb_batches(
    setting: &Setting<'_>,
    (batches, keys): (usize, usize),
    value_bytes: usize,
    durable: bool,
) -> anyhow::Result<f64> {
    let dir = setting.dir()?;
    let peer = Redb::create(dir.path())?;
    let elapsed = seconds(|| {
        for batch in 0..batches {
            let key = |index| Workload::key((batch * keys + index) as u64);
            let pairs: Vec<_> = (0..keys).map(|index| (key(index), vec![7; value_bytes])).collect();
            peer.put(&pairs, durable)?;
        }
        Ok(())
    })?;
    Ok((batches * keys) as f64 / elapsed)
}

/// Durable transactions of ten puts, one after the other, against redb's.
fn transactions(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let value = vec![7; 1_024];
    let ours = setting.median(|| {
        let bench = Bench::open(setting, Durability::Always)?;
        let elapsed = seconds(|| {
            for number in 0..TRANSACTIONS as u64 {
                let id = TxnId(u128::from(number).to_le_bytes());
                within(&bench, id, Operation::Begin)?;
                for put in 0..TRANSACTION_PUTS as u64 {
                    let key = Workload::key(number * TRANSACTION_PUTS as u64 + put);
                    within(&bench, id, Operation::Put { key: &key, value: &value })?;
                }
                within(&bench, id, Operation::Commit(&[]))?;
            }
            Ok(())
        })?;
        bench.store.close()?;
        Ok(TRANSACTIONS as f64 / elapsed)
    })?;
    let redb = setting.median(|| {
        let keys = redb_batches(setting, (TRANSACTIONS, TRANSACTION_PUTS), value.len(), true)?;
        Ok(keys / TRANSACTION_PUTS as f64)
    })?;
    let what = format!("durable transaction of {TRANSACTION_PUTS} puts, 1 thread");
    report.rate(&what, ours, "redb", redb);
    let sqlite = setting.median(|| {
        let mut peer = Sqlite::create(setting, true)?;
        let elapsed = seconds(|| {
            for number in 0..TRANSACTIONS {
                let puts = number * TRANSACTION_PUTS..(number + 1) * TRANSACTION_PUTS;
                let pairs = puts.map(|put| (Workload::key(put as u64), value.as_slice()));
                peer.put(&pairs.collect::<Vec<_>>())?;
            }
            Ok(())
        })?;
        Ok(TRANSACTIONS as f64 / elapsed)
    })?;
    report.rate(&what, ours, "SQLite", sqlite);
    Ok(())
}

/// One write of a transaction.
fn within(bench: &Bench, id: TxnId, operation: Operation<'_>) -> anyhow::Result<()> {
    bench.namespace.write(&Write::new(operation).within(id))?;
    Ok(())
}

/// One object of 256 MiB in and out, against a file that the same chunks are appended to.
fn objects(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES_MAX];
    unison_base::prng::Prng::new(1).fill(&mut chunk);
    let mib = ((OBJECT_CHUNKS * CHUNK_BYTES_MAX) >> 20) as f64;
    let bench = Bench::open(setting, Durability::Always)?;
    let mut number = 0_u128;
    let written = setting.median(|| {
        number += 1;
        let id = TxnId(number.to_le_bytes());
        seconds(|| {
            within(&bench, id, Operation::Begin)?;
            for _ in 0..OBJECT_CHUNKS {
                within(&bench, id, Operation::PutChunk { object: b"image", chunk: &chunk })?;
            }
            within(&bench, id, Operation::Commit(&[]))?;
            Ok(())
        })
    })?;
    let raw = setting.median(|| {
        let dir = setting.dir()?;
        let mut file = RawLog::create(&dir.path().join("raw"), 512 << 20)?;
        seconds(|| {
            (0..OBJECT_CHUNKS).try_for_each(|_| file.append(&chunk))?;
            file.sync()
        })
    })?;
    report.rate("large object in, MiB", mib / written, "bare file", mib / raw);
    let mut peer = Sqlite::create(setting, true)?;
    let sqlite = setting.median(|| peer.put_object(&chunk, OBJECT_CHUNKS))?;
    report.rate("large object in, MiB", mib / written, "SQLite, a row a chunk", mib / sqlite);
    let read = setting.median(|| {
        let object = bench.namespace.reader().snapshot().object(b"image")?;
        let object = object.ok_or_else(|| anyhow::anyhow!("no object"))?;
        seconds(|| {
            let mut bytes = 0;
            for chunk in object.chunks(0)? {
                bytes += chunk?.bytes.bytes()?.len();
            }
            anyhow::ensure!(bytes as u64 == object.len(), "{bytes} bytes");
            Ok(())
        })
    })?;
    let checked = setting.median(|| {
        seconds(|| {
            let sum = (0..OBJECT_CHUNKS).map(|_| unison_base::checksum::crc32c(&chunk)).max();
            anyhow::ensure!(sum.is_some(), "nothing was summed");
            Ok(())
        })
    })?;
    report.rate("large object out, MiB", mib / read, "CRC-32C of a hot chunk", mib / checked);
    let sqlite = setting.median(|| peer.get_object())?;
    report.rate("large object out, MiB", mib / read, "SQLite, unchecked", mib / sqlite);
    bench.store.close()?;
    Ok(())
}

/// Messages to a thousand topics, against redb with a key for each.
fn topics(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let names: Vec<_> =
        (0..TOPICS).map(|topic| format!("site/{}/sensor/{topic}", topic % 7)).collect();
    let payload = vec![7; PAYLOAD_BYTES];
    let ours = setting.median(|| {
        let bench = Bench::open(setting, Durability::Never)?;
        let elapsed = seconds(|| {
            for batch in 0..BATCHES {
                let messages: Vec<_> = (0..BATCH)
                    .map(|index| NewMessage {
                        topic: &names[(batch * BATCH + index) % TOPICS],
                        payload: &payload,
                        retain: true,
                        ..NewMessage::default()
                    })
                    .collect();
                bench.namespace.write(&Write::new(Operation::Publish(&messages)))?;
            }
            Ok(())
        })?;
        bench.store.close()?;
        Ok((BATCHES * BATCH) as f64 / elapsed)
    })?;
    let redb = setting.median(|| redb_batches(setting, (BATCHES, BATCH), PAYLOAD_BYTES, false))?;
    let what =
        format!("messages of {PAYLOAD_BYTES} B to {TOPICS} topics, {BATCH} a batch, unsynced");
    report.rate(&what, ours, "redb, one key each", redb);
    let sqlite = setting.median(|| {
        let mut peer = Sqlite::create(setting, false)?;
        let elapsed = seconds(|| {
            for batch in 0..BATCHES {
                let topics = (0..BATCH).map(|index| &*names[(batch * BATCH + index) % TOPICS]);
                peer.publish(&topics.collect::<Vec<_>>(), &payload)?;
            }
            Ok(())
        })?;
        Ok((BATCHES * BATCH) as f64 / elapsed)
    })?;
    report.rate(&what, ours, "SQLite", sqlite);
    Ok(())
}
