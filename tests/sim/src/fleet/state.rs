//! What a node shows is its log, folded: keys, rows and columns against the model.

use super::Store;
use super::model::{key, row};
use super::node::NodeNumber;
use super::outcome::{Breach, Promise};
use super::trace::Digest;
use super::world::World;
use unison_engine::{
    Cell, ColumnRange, Engine, ReadError, Reader, RowScanRequest, ScanRequest, Snapshot,
};

impl World {
    /// One key and one row.
    pub(super) fn spot_check(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let at = self.looks.below(self.plan.writing.keys);
        let (key, row) = (key(at), row(at));
        let Some(engine) = self.nodes[number].engine() else { return Ok(()) };
        let reader = engine.reader();
        let disk = self.nodes[number].home.borrow().disk.clone();
        let read = disk.unwatched(|| self.check_key(&reader, &key));
        self.judge(number, read)?;
        let read = disk.unwatched(|| self.check_row(&reader, &row));
        self.judge(number, read)
    }

    fn check_key(&self, reader: &Reader<Store>, key: &[u8]) -> Result<Option<String>, ReadError> {
        let applied = reader.applied();
        let held = reader.get(key)?;
        let held = match held {
            Some(value) => Some((value.lsn(), value.bytes()?)),
            None => None,
        };
        let due = self.model.value_at(key, applied);
        let same = match (&held, due) {
            (None, None) => true,
            (Some((lsn, bytes)), Some((due_lsn, due_bytes))) => {
                *lsn == due_lsn && bytes[..] == due_bytes[..]
            }
            _ => false,
        };
        let name = || String::from_utf8_lossy(key).into_owned();
        let seen = held.as_ref().map(|(lsn, _)| *lsn);
        let due = due.map(|(lsn, _)| lsn);
        Ok((!same).then(|| format!("{} at {applied}: {seen:?} instead of {due:?}", name())))
    }

    fn check_row(&self, reader: &Reader<Store>, row: &[u8]) -> Result<Option<String>, ReadError> {
        let snapshot = reader.snapshot();
        let lsn = snapshot.lsn();
        let mut due = self.model.row(row, lsn);
        let held = match snapshot.row(row)? {
            Some(row) => Some(row.columns(ColumnRange::default())?),
            None => None,
        };
        let name = String::from_utf8_lossy(row);
        for column in held.into_iter().flatten() {
            let column = column?;
            let bytes = column.value.bytes()?;
            let same = due.next().is_some_and(|(name, due_lsn, value)| {
                *name == column.name && due_lsn == column.value.lsn() && bytes[..] == value[..]
            });
            if !same {
                return Ok(Some(format!("{} of {name} at {lsn} is not due", column.name)));
            }
        }
        Ok(due.next().map(|(column, ..)| format!("{column} of {name} is missing at {lsn}")))
    }

    fn check_rows(
        &self,
        snapshot: &Snapshot<Store>,
        digest: &mut Digest,
    ) -> Result<Option<String>, ReadError> {
        let lsn = snapshot.lsn();
        let mut due = self.model.rows(lsn);
        for cell in snapshot.rows(RowScanRequest::default())? {
            let Cell { row, column } = cell?;
            let bytes = column.value.bytes()?;
            digest.take(&row.key);
            digest.take(column.name.as_bytes());
            digest.take(&bytes);
            let same = due.next().is_some_and(|(due_row, name, due_lsn, value)| {
                (due_row, name, due_lsn) == (&row.key, &column.name, column.value.lsn())
                    && bytes[..] == value[..]
            });
            if !same {
                let row = String::from_utf8_lossy(&row.key).into_owned();
                return Ok(Some(format!("{} of {row} at {lsn} is not due", column.name)));
            }
        }
        Ok(due.next().map(|(row, column, ..)| {
            format!("{column} of {} is missing at {lsn}", String::from_utf8_lossy(row))
        }))
    }

    /// True while the tree is ahead of a log of which a failed cut has taken too much.
    fn lost_by_a_cut(&self, number: NodeNumber) -> bool {
        let node = &self.nodes[number];
        let behind = |engine: &Engine<Store>| engine.appended() < engine.stats().checkpoint;
        node.marks.cut_failed && node.engine().is_some_and(behind)
    }

    pub(super) fn judge(
        &self,
        number: NodeNumber,
        read: Result<Option<String>, ReadError>,
    ) -> Result<(), Breach> {
        match read {
            Ok(None) => Ok(()),
            Ok(Some(detail)) => Err(self.breach(number, Promise::State, detail)),
            Err(_) if self.nodes[number].marks.damaged || self.lost_by_a_cut(number) => Ok(()),
            Err(error) => Err(self.breach(number, Promise::Damage, error.to_string())),
        }
    }

    /// Every key and every column, and no other.
    pub(super) fn state_check(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let Some(engine) = self.nodes[number].engine() else { return Ok(()) };
        let reader = engine.reader();
        let disk = self.nodes[number].home.borrow().disk.clone();
        let read = disk.unwatched(|| self.check_state(&reader, &mut Digest::default()));
        self.judge(number, read)
    }

    pub(super) fn check_state(
        &self,
        reader: &Reader<Store>,
        digest: &mut Digest,
    ) -> Result<Option<String>, ReadError> {
        let snapshot = reader.snapshot();
        let lsn = snapshot.lsn();
        let mut due = self.model.content(lsn);
        for item in snapshot.scan(ScanRequest::default())? {
            let item = item?;
            let bytes = item.value.bytes()?;
            digest.take(&item.key);
            digest.take(&bytes);
            let same = due.next().is_some_and(|(key, due_lsn, value)| {
                *key == item.key && due_lsn == item.value.lsn() && bytes[..] == value[..]
            });
            if !same {
                let key = String::from_utf8_lossy(&item.key).into_owned();
                return Ok(Some(format!("{key} of {} at {lsn} is not due", item.value.lsn())));
            }
        }
        if let Some((key, at, _)) = due.next() {
            let key = String::from_utf8_lossy(key);
            return Ok(Some(format!("{key} of {at} is missing at {lsn}")));
        }
        self.check_rows(&snapshot, digest)
    }
}
