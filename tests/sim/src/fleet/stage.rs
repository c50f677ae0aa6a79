//! From what is asked for to what the engine takes.

use super::Store;
use super::model::{Address, Column, Draft, Key, Part, Value, What};
use unison_base::TxnId;
use unison_engine::{
    ColumnNames, ColumnValues, Condition, Engine, NewMessage, Operation, TrimBefore, Write,
    WriteError, Written,
};

/// How a part is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) condition: Condition,
    pub(super) transaction: Option<TxnId>,
    pub(super) wall_ms: u64,
}

type Staged = Result<Written<Store>, WriteError>;

/// Stages a part as the next record.
pub(super) fn stage(engine: &mut Engine<Store>, part: &Part, how: How) -> Staged {
    let How { condition, transaction, wall_ms } = how;
    let mut stage = |operation: Operation<'_>| {
        let write = Write { condition, transaction, ..Write::new(operation) };
        engine.stage(&write.expiring_at(part.expires_at), wall_ms)
    };
    match &part.what {
        What::Put(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| (&key[..], &**value)).collect();
            match pairs[..] {
                [(key, value)] => stage(Operation::Put { key, value }),
                _ => stage(Operation::PutBatch(&pairs)),
            }
        }
        What::Delete(keys) => {
            let keys = slices(keys);
            match keys[..] {
                [key] => stage(Operation::Delete { key }),
                _ => stage(Operation::DeleteBatch(&keys)),
            }
        }
        What::Expire(key) => stage(Operation::Expire { key }),
        What::PutColumns(rows) => put_columns(rows, &mut stage),
        What::DeleteColumns(rows) => delete_columns(rows, &mut stage),
        What::DeleteRows(rows) => stage(Operation::DeleteRows(&slices(rows))),
        What::ExpireRow(row) => stage(Operation::ExpireRow { row }),
        What::Chunk(object, chunk) => stage(Operation::PutChunk { object, chunk }),
        What::DeleteObjects(objects) => stage(Operation::DeleteObjects(&slices(objects))),
        What::Publish(address, drafts) => publish(*address, drafts, &mut stage),
        What::DeleteMessage(id) => stage(Operation::DeleteMessage(*id)),
        What::Trim(address, to, before_ms) => {
            let trim = TrimBefore { topics: &[to], before_ms: *before_ms };
            match address {
                Address::Topics => stage(Operation::Trim(trim)),
                Address::Patterns => stage(Operation::TrimPatterns(trim)),
            }
        }
    }
}

fn slices(keys: &[Key]) -> Vec<&[u8]> {
    keys.iter().map(Vec::as_slice).collect()
}

fn put_columns(
    rows: &[(Key, Vec<(Column, Value)>)],
    stage: &mut dyn FnMut(Operation<'_>) -> Staged,
) -> Staged {
    let columns: Vec<Vec<(&str, &[u8])>> = rows
        .iter()
        .map(|(_, columns)| columns.iter().map(|(name, value)| (&**name, &**value)).collect())
        .collect();
    let rows = rows.iter().zip(&columns);
    let rows: Vec<_> = rows.map(|((row, _), columns)| ColumnValues { row, columns }).collect();
    stage(Operation::PutColumns(&rows))
}

fn delete_columns(
    rows: &[(Key, Vec<Column>)],
    stage: &mut dyn FnMut(Operation<'_>) -> Staged,
) -> Staged {
    let columns: Vec<Vec<&str>> =
        rows.iter().map(|(_, columns)| columns.iter().map(|name| &**name).collect()).collect();
    let rows = rows.iter().zip(&columns);
    let rows: Vec<_> = rows.map(|((row, _), columns)| ColumnNames { row, columns }).collect();
    stage(Operation::DeleteColumns(&rows))
}

fn publish(
    address: Address,
    drafts: &[Draft],
    stage: &mut dyn FnMut(Operation<'_>) -> Staged,
) -> Staged {
    let messages: Vec<_> = drafts
        .iter()
        .map(|draft| NewMessage {
            topic: draft.to,
            payload: &draft.payload,
            headers: &[],
            ttl_ms: draft.ttl_ms,
            retain: draft.retain,
        })
        .collect();
    match address {
        Address::Topics => stage(Operation::Publish(&messages)),
        Address::Patterns => stage(Operation::PublishPattern(&messages)),
    }
}
