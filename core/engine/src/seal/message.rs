//! A message on its way into the log, and out of it.

use super::body::{self, Opened};
use super::keys::{DataKey, Keyring, NONCE_BYTES, TAG_BYTES};
use super::{FLAG_COMPRESSED, FLAG_IN_TRANSACTION, FLAG_SEALED, compress};
use crate::errors::{ReadError, SealError};
use crate::models::topic::key::MessagePosition;
use crate::records::MessageEntryRef;
use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_base::bytes::{u32_at, u64_at};

const MESSAGE_LABEL: &[u8] = b"unison message";
/// Epoch, LSN and index in front of what is sealed.
const HEAD_BYTES: usize = 20;

/// A message as the log has it.
pub(crate) struct Stored<'a> {
    pub(crate) stream: u64,
    pub(crate) expires_at: u64,
    pub(crate) flags: u8,
    /// Headers and payload, in the clear and not compressed.
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    /// The payload, or what has taken the place of headers and payload.
    pub(crate) payload: Cow<'a, [u8]>,
}

/// The key that a writer seals with, since its log was opened.
pub(crate) struct Sealer {
    pub(crate) key: DataKey,
    pub(crate) keys: Arc<Keyring>,
}

/// How messages of one record are stored.
pub(crate) struct Closer<'a> {
    pub(crate) compresses: bool,
    pub(crate) sealer: Option<&'a Sealer>,
    /// Headers and payload of the message at hand; kept for its memory.
    pub(crate) scratch: &'a mut Vec<u8>,
}

impl Closer<'_> {
    /// Compresses and seals a message that will lie in the log there, and that goes there in a
    /// transaction or alone.
    pub(crate) fn close(&mut self, message: &mut Stored<'_>, at: &MessagePosition, alone: bool) {
        if !self.compresses && self.sealer.is_none() {
            return;
        }
        body::encode(self.scratch, message.headers, &message.payload);
        let small = self.compresses.then(|| compress::compressed(self.scratch)).flatten();
        if small.is_none() && self.sealer.is_none() {
            return;
        }
        message.headers = &[];
        if small.is_some() {
            message.flags |= FLAG_COMPRESSED;
        }
        let mut content = small.unwrap_or_else(|| self.scratch.clone());
        if let Some(Sealer { key, keys }) = self.sealer {
            message.flags |= FLAG_SEALED;
            message.flags |= if alone { 0 } else { FLAG_IN_TRANSACTION };
            let head = Head { epoch: key.epoch, lsn: at.lsn, index: at.index };
            let about = about(keys, message, (&head, at.time_ms));
            content = sealed(key, &head, &about, content);
        }
        message.payload = Cow::Owned(content);
    }
}

/// What stands in front of a sealed message, in the clear.
struct Head {
    epoch: u64,
    /// The record that it was sealed for, which need not be the one that commits it.
    lsn: Lsn,
    /// Which message of that record.
    index: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let (epoch, rest) = bytes.split_at_mut(8);
        epoch.copy_from_slice(&self.epoch.to_le_bytes());
        rest.copy_from_slice(&self.nonce());
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (epoch, lsn) = (u64_at(bytes, 0)?, Lsn(u64_at(bytes, 8)?));
        Some(Self { epoch, lsn, index: u32_at(bytes, 16)? })
    }

    /// No two messages of an epoch have the same: its key was made when the writer opened the log,
    /// and is given up when it has to take back what it wrote.
    fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        let (lsn, index) = nonce.split_at_mut(8);
        lsn.copy_from_slice(&self.lsn.0.to_le_bytes());
        index.copy_from_slice(&self.index.to_le_bytes());
        nonce
    }
}

fn sealed(key: &DataKey, head: &Head, about: &[u8], mut content: Vec<u8>) -> Vec<u8> {
    // A body is far below what the cipher refuses.
    let tag = key.seal(&head.nonce(), about, &mut content).unwrap_or_default();
    [head.encode().as_slice(), &content, &tag].concat()
}

/// What is sealed with a message without being hidden. Of one in a transaction its time is not known.
fn about(keys: &Keyring, message: &Stored<'_>, (head, time_ms): (&Head, u64)) -> Vec<u8> {
    let time_ms = if message.flags & FLAG_IN_TRANSACTION == 0 { time_ms } else { 0 };
    let numbers = [head.epoch, message.stream, head.lsn.0, time_ms, message.expires_at];
    let mut about = MESSAGE_LABEL.to_vec();
    about.extend_from_slice(numbers.map(u64::to_le_bytes).as_flattened());
    about.extend_from_slice(&head.index.to_le_bytes());
    about.push(message.flags);
    about.extend_from_slice(keys.namespace().as_bytes());
    about
}

/// Opens messages; keeps the key of the last epoch.
pub(crate) struct Opener {
    keys: Arc<Keyring>,
    last: Option<DataKey>,
    /// Most bytes of what is unfolded.
    bytes_max: usize,
}

impl Opener {
    pub(crate) fn new(keys: Arc<Keyring>) -> Self {
        Self::within(keys, usize::MAX)
    }

    /// One that unfolds no message beyond `bytes_max`.
    pub(crate) fn within(keys: Arc<Keyring>, bytes_max: usize) -> Self {
        Self { keys, last: None, bytes_max }
    }

    /// Headers and payload of a message that lies at `at`; `None` when its entry has them as they are.
    /// `find` says what the log has of an epoch's key.
    pub(crate) fn open(
        &mut self,
        message: &MessageEntryRef<'_>,
        at: &MessagePosition,
        find: impl FnOnce(u64) -> Result<Option<super::Wrapped>, ReadError>,
    ) -> Result<Option<Opened>, ReadError> {
        if message.flags & (FLAG_COMPRESSED | FLAG_SEALED) == 0 {
            return Ok(None);
        }
        let content = match message.flags & FLAG_SEALED {
            0 => Cow::Borrowed(message.payload()),
            _ => Cow::Owned(self.unsealed(message, at, find)?),
        };
        let body = match message.flags & FLAG_COMPRESSED {
            0 => Some(content.into_owned()),
            _ => self.unfolded(&content)?,
        };
        let (lsn, index) = (at.lsn, at.index);
        let opened = body.and_then(Opened::new).ok_or(SealError::Body { lsn, index })?;
        Ok(Some(opened))
    }

    fn unfolded(&self, content: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let bytes = compress::unfolded_bytes(content).unwrap_or(0);
        if bytes > self.bytes_max {
            return Err(ReadError::MessageSize { bytes, limit: self.bytes_max });
        }
        Ok(compress::unfolded(content))
    }

    fn unsealed(
        &mut self,
        message: &MessageEntryRef<'_>,
        at: &MessagePosition,
        find: impl FnOnce(u64) -> Result<Option<super::Wrapped>, ReadError>,
    ) -> Result<Vec<u8>, ReadError> {
        let (lsn, index) = (at.lsn, at.index);
        let altered = SealError::Altered { lsn, index };
        let head = Head::of(message.payload()).ok_or(altered)?;
        let own_place = match message.flags & FLAG_IN_TRANSACTION {
            0 => (head.lsn, head.index) == (lsn, index),
            _ => head.lsn < lsn,
        };
        if !own_place {
            return Err(altered.into());
        }
        let stored = Stored {
            stream: message.stream,
            expires_at: message.expires_at,
            flags: message.flags,
            headers: &[],
            payload: Cow::Borrowed(&[]),
        };
        let about = about(&self.keys, &stored, (&head, at.time_ms));
        let key = self.key(head.epoch, find)?;
        let content = message.payload().get(HEAD_BYTES..).ok_or(altered)?;
        let (content, tag) = content.split_last_chunk::<TAG_BYTES>().ok_or(altered)?;
        let mut content = content.to_vec();
        key.open(&head.nonce(), &about, &mut content, tag).ok_or(altered)?;
        Ok(content)
    }

    fn key(
        &mut self,
        epoch: u64,
        find: impl FnOnce(u64) -> Result<Option<super::Wrapped>, ReadError>,
    ) -> Result<&DataKey, ReadError> {
        if self.last.as_ref().is_none_or(|key| key.epoch != epoch) {
            let wrapped = find(epoch)?.ok_or(SealError::Epoch { epoch })?;
            self.last = Some(self.keys.unwrap(&wrapped)?);
        }
        Ok(self.last.as_ref().ok_or(SealError::Epoch { epoch })?)
    }
}
