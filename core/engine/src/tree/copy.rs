//! A copy of the tree into another one, while this one is read and written.

use super::{DATA, META, SEGMENTS, Tree, checkpoint_of, existing};
use crate::errors::{TreeCopyError, TreeError};
use core::borrow::Borrow;
use redb::{Database, Key, ReadTransaction, ReadableDatabase, TableDefinition, Value};
use unison_base::Lsn;

/// The tree of an engine, to be copied on any thread; it holds up nothing there.
pub struct TreeCopy(pub(crate) Tree);

impl TreeCopy {
    /// Copies the newest committed state into `target`, which is empty, as one transaction. Returns
    /// the LSN up to which that state holds everything; values longer than what the tree takes in
    /// stay in the log, and the copy points there as the tree does.
    ///
    /// # Errors
    /// Which of the two trees failed, and how; `target` is then as it was.
    pub fn run(self, target: &Database) -> Result<Lsn, TreeCopyError> {
        let from = self.0.0.begin_read().map_err(source)?;
        let to = target.begin_write().map_err(self::target)?;
        copy(&from, &to, DATA)?;
        copy(&from, &to, SEGMENTS)?;
        copy(&from, &to, META)?;
        to.commit().map_err(self::target)?;
        lsn(&from).map_err(TreeCopyError::Source)
    }

    /// The LSN up to which a copy holds everything.
    ///
    /// # Errors
    /// It cannot be read, or is no tree of an engine.
    pub fn lsn_of(copy: &Database) -> Result<Lsn, TreeError> {
        lsn(&copy.begin_read()?)
    }
}

fn lsn(transaction: &ReadTransaction) -> Result<Lsn, TreeError> {
    let meta = existing(transaction.open_table(META))?;
    Ok(meta.map(|meta| checkpoint_of(&meta)).transpose()?.unwrap_or_default().lsn)
}

fn source(error: impl Into<TreeError>) -> TreeCopyError {
    TreeCopyError::Source(error.into())
}

fn target(error: impl Into<TreeError>) -> TreeCopyError {
    TreeCopyError::Target(error.into())
}

/// Copies a table, if it is there.
fn copy<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &redb::WriteTransaction,
    definition: TableDefinition<'static, K, V>,
) -> Result<(), TreeCopyError>
where
    for<'a> K::SelfType<'a>: Borrow<K::SelfType<'a>>,
{
    let Some(rows) = existing(from.open_table(definition)).map_err(TreeCopyError::Source)? else {
        return Ok(());
    };
    let mut copied = to.open_table(definition).map_err(target)?;
    for row in rows.range_owned(..).map_err(source)? {
        let (key, value) = row.map_err(source)?;
        copied.insert(key.value(), value.value()).map_err(target)?;
    }
    Ok(())
}
