//! Keys: those of a namespace's owner, and those of the epochs, which the first ones wrap.

use crate::errors::SealError;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use core::fmt;
use unison_base::NamespaceName;
use unison_ports::Entropy;
use zeroize::Zeroizing;

/// Bytes of every key.
pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;
const KEY_ID_BYTES: usize = 8;
/// Bytes of a wrapped key.
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;

const ID_LABEL: &[u8] = b"unison key id";
const WRAP_LABEL: &[u8] = b"unison key epoch";

/// What tells master keys apart without telling anything of them: a check value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(crate) [u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key that wraps the keys of a namespace's epochs. Whoever has none of them cannot read what was
/// sealed: losing all of them erases the namespace's messages.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Arc<Zeroizing<[u8; KEY_BYTES]>>,
    id: KeyId,
}

impl MasterKey {
    /// A key of 256 bits that nobody can guess.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        // A nonce that no random one meets, for a message that is always the same.
        let tag = seal(bytes, &[0; NONCE_BYTES], ID_LABEL, &mut []).unwrap_or_default();
        let mut id = [0; KEY_ID_BYTES];
        id.iter_mut().zip(tag).for_each(|(id, tag)| *id = tag);
        Self { bytes: Arc::new(Zeroizing::new(*bytes)), id: KeyId(id) }
    }

    /// Its check value.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The master keys of one namespace: the first one wraps the keys of new epochs, all of them open old
/// ones. Without any the namespace is stored and replicated, and what is sealed stays closed.
#[derive(Clone, Default)]
pub struct Keyring {
    owner: Option<Owner>,
    keys: Vec<MasterKey>,
}

#[derive(Clone)]
struct Owner {
    namespace: NamespaceName,
    entropy: Arc<dyn Entropy>,
}

impl Keyring {
    /// The keys of a namespace, the one to wrap with first, and where the keys of epochs come from.
    #[must_use]
    pub fn new(namespace: NamespaceName, keys: Vec<MasterKey>, entropy: Arc<dyn Entropy>) -> Self {
        Self { owner: Some(Owner { namespace, entropy }), keys }
    }

    /// Whether something can be sealed.
    pub(crate) fn can_seal(&self) -> bool {
        self.owner.is_some() && !self.keys.is_empty()
    }

    /// Whether a key with this check value is among them.
    pub(crate) fn knows(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// The namespace's name in front of associated data.
    pub(crate) fn namespace(&self) -> &str {
        self.owner.as_ref().map_or("", |owner| owner.namespace.as_str())
    }

    /// A key for a new epoch, and the form in which it goes into the log; `None` without a master key.
    pub(crate) fn new_epoch(&self, epoch: u64) -> Option<(DataKey, Wrapped)> {
        let (owner, master) = (self.owner.as_ref()?, self.keys.first()?);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let mut nonce = [0; NONCE_BYTES];
        owner.entropy.fill(key.as_mut_slice());
        owner.entropy.fill(&mut nonce);
        let mut wrapped = key.to_vec();
        let about = self.about(epoch, master.id);
        let tag = seal(&master.bytes, &nonce, &about, &mut wrapped)?;
        wrapped.extend_from_slice(&tag);
        Some((DataKey { epoch, bytes: key }, Wrapped { epoch, key: master.id, nonce, wrapped }))
    }

    /// The key of an epoch.
    pub(crate) fn unwrap(&self, wrapped: &Wrapped) -> Result<DataKey, SealError> {
        let (epoch, key) = (wrapped.epoch, wrapped.key);
        let master = self.keys.iter().find(|master| master.id == key);
        let master = master.ok_or(SealError::NoKey { epoch, key })?;
        let damaged = SealError::Epoch { epoch };
        let (sealed, tag) = wrapped.wrapped.split_last_chunk().ok_or(damaged)?;
        let mut bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(sealed).map_err(|_| damaged)?);
        let about = self.about(epoch, key);
        open(&master.bytes, &wrapped.nonce, &about, bytes.as_mut_slice(), tag).ok_or(damaged)?;
        Ok(DataKey { epoch, bytes })
    }

    fn about(&self, epoch: u64, key: KeyId) -> Vec<u8> {
        [WRAP_LABEL, &epoch.to_le_bytes(), &key.0, self.namespace().as_bytes()].concat()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("namespace", &self.namespace())
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// The key of an epoch.
pub(crate) struct DataKey {
    pub(crate) epoch: u64,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl DataKey {
    /// Seals in place. A nonce is never used twice with the same key.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        about: &[u8],
        bytes: &mut [u8],
    ) -> Option<[u8; TAG_BYTES]> {
        seal(&self.bytes, nonce, about, bytes)
    }

    /// Opens in place; `None` when anything is not what was sealed.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        about: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Option<()> {
        open(&self.bytes, nonce, about, bytes, tag)
    }
}

/// The key of an epoch as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub(crate) epoch: u64,
    /// The master key that opens it.
    pub(crate) key: KeyId,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) wrapped: Vec<u8>,
}

impl Wrapped {
    /// `None` when the parts are none of a wrapped key.
    pub(crate) fn of(epoch: u64, key: &[u8], nonce: &[u8], wrapped: &[u8]) -> Option<Self> {
        let (key, nonce) = (KeyId(key.try_into().ok()?), nonce.try_into().ok()?);
        let whole = epoch > 0 && wrapped.len() == WRAPPED_BYTES;
        whole.then(|| Self { epoch, key, nonce, wrapped: wrapped.to_vec() })
    }
}

fn seal(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    about: &[u8],
    bytes: &mut [u8],
) -> Option<[u8; TAG_BYTES]> {
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.encrypt_inout_detached(nonce.into(), about, bytes.into()).ok().map(Into::into)
}

fn open(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    about: &[u8],
    bytes: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(nonce.into(), about, bytes.into(), tag.into()).ok()
}
