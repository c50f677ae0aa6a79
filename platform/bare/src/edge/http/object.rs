//! `/lob/{key}`: a large object, chunk by chunk as the caller takes it. Between chunks nothing of the
//! engine is held, so a slow caller keeps neither memory nor the disk: each chunk is looked up anew.

use super::read::reader;
use super::refused::Refused;
use crate::block::BlockDevice;
use crate::edge::view::View;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use unison_base::{Lsn, NamespaceName};
use unison_engine::Chunk;
use unison_ports::SegmentStore;

/// What of an object is still to be answered.
#[derive(Debug)]
pub(super) struct Rest {
    namespace: NamespaceName,
    key: Vec<u8>,
    /// The object as it was when it was asked for.
    lsn: Lsn,
    offset: u64,
    bytes: u64,
}

/// The lines of the head that say what comes, and what comes. An object whose first chunk memory may not
/// hold is refused before anything of it is announced.
pub(super) fn begin<D: BlockDevice>(
    view: &View<'_, D>,
    namespace: &NamespaceName,
    key: Vec<u8>,
) -> Result<(String, Rest), Refused> {
    let object = reader(view, namespace)?.snapshot().object(&key)?.ok_or(Refused::Object)?;
    let (lsn, bytes) = (object.lsn(), object.len());
    if let Some(first) = object.chunks(0)?.next().transpose()? {
        measure(view, &first)?;
    }
    let head = format!(
        "content-type: application/octet-stream\r\ncontent-length: {bytes}\r\n\
         x-checksum-crc32: {}\r\n",
        object.checksum()
    );
    Ok((head, Rest { namespace: namespace.clone(), key, lsn, offset: 0, bytes }))
}

/// Whether memory may hold a chunk.
fn measure<D: BlockDevice, S: SegmentStore>(
    view: &View<'_, D>,
    chunk: &Chunk<S>,
) -> Result<(), Refused> {
    let bytes = chunk.bytes.len();
    if bytes > view.heap.answer_room() { Err(Refused::Room { bytes }) } else { Ok(()) }
}

impl Rest {
    /// The next bytes; none at the end. An object that is no longer the same has no more either: the
    /// caller hears less than was announced.
    pub(super) fn next<D: BlockDevice>(&mut self, view: &View<'_, D>) -> Result<Vec<u8>, Refused> {
        if self.offset >= self.bytes {
            return Ok(Vec::new());
        }
        let object = reader(view, &self.namespace)?.snapshot().object(&self.key)?;
        let object = object.filter(|object| object.lsn() == self.lsn).ok_or(Refused::Object)?;
        let chunk = object.chunks(self.offset)?.next().transpose()?.ok_or(Refused::Object)?;
        measure(view, &chunk)?;
        let from = usize::try_from(self.offset.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        let bytes = chunk.bytes.bytes()?.get(from..).unwrap_or_default().to_vec();
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
}
