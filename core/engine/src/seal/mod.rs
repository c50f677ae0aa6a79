//! How messages of topics are stored: compressed, then sealed, as the settings of topics say.
//!
//! ```text
//! headers, payload -> body -> lz4 -> ChaCha20-Poly1305 -> `payload` of the entry in the log
//!                                          |
//!          data key of the epoch, itself in the log, wrapped by the namespace's master key
//! ```
//!
//! What a message is about stays readable: its stream, its time, when it expires. The bytes of the
//! forms are in `schemas/records.md`.

mod body;
mod compress;
mod keys;
mod message;

pub use keys::{KeyId, Keyring, MasterKey};

pub(crate) use body::Opened;
pub(crate) use keys::Wrapped;
pub(crate) use message::{Closer, Opener, Sealer, Stored};

/// The message becomes its topic's retained one.
pub(crate) const FLAG_RETAINED: u8 = 1;
/// The payload is a body, compressed.
pub(crate) const FLAG_COMPRESSED: u8 = 2;
/// The payload is a body, sealed.
pub(crate) const FLAG_SEALED: u8 = 4;
/// Sealed in a transaction: its id and time were not known then.
pub(crate) const FLAG_IN_TRANSACTION: u8 = 8;

#[cfg(test)]
mod tests;
