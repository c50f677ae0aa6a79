//! Large objects: whole or not there.

use super::super::Store;
use super::super::trace::Digest;
use super::keys::text;
use super::{Look, Looked};
use unison_base::checksum::crc32;
use unison_engine::{Object, ObjectScanRequest, ReadError};

impl Look<'_> {
    pub(super) fn at_object(&self, key: &[u8]) -> Looked {
        let Some(object) = self.snapshot.object(key)? else {
            let due = self.model.object(key, self.at).map(|(lsn, _)| lsn);
            return Ok(due.map(|lsn| format!("{} of {lsn} is missing at {:?}", text(key), self.at)));
        };
        self.compare(key, &object, &mut Digest::default())
    }

    fn compare(&self, key: &[u8], object: &Object<Store>, digest: &mut Digest) -> Looked {
        let bytes = whole(object)?;
        digest.take(key);
        digest.take(&bytes);
        let same = self.model.object(key, self.at).is_some_and(|(lsn, due)| {
            let summary = (object.lsn(), object.len(), object.checksum());
            summary == (lsn, due.len() as u64, crc32(due)) && bytes[..] == due[..]
        });
        let (lsn, length) = (object.lsn(), bytes.len());
        let what = || format!("{} of {lsn}, {length} bytes, at {:?}", text(key), self.at);
        Ok((!same).then(|| format!("{} is not due", what())))
    }

    pub(super) fn at_objects(&self, digest: &mut Digest) -> Looked {
        let mut due = self.model.objects(self.at);
        for listed in self.snapshot.objects(ObjectScanRequest::default()) {
            let listed = listed?;
            if due.next().is_none_or(|(key, ..)| *key != listed.key) {
                return Ok(Some(format!("{} at {:?} is not due", text(&listed.key), self.at)));
            }
            let detail = self.compare(&listed.key, &listed.object, digest)?;
            if detail.is_some() {
                return Ok(detail);
            }
        }
        let missing = due.next().map(|(key, lsn, _)| (text(key), lsn));
        Ok(missing.map(|(key, lsn)| format!("{key} of {lsn} is missing at {:?}", self.at)))
    }
}

fn whole(object: &Object<Store>) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    for chunk in object.chunks(0)? {
        bytes.extend_from_slice(&chunk?.bytes.bytes()?);
    }
    Ok(bytes)
}
