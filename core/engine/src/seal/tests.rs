//! What is closed opens again, and only as it was closed.

use super::compress::{compressed, unfolded};
use super::{Closer, FLAG_SEALED, Keyring, MasterKey, Opener, Sealer, Stored, Wrapped};
use crate::errors::{ReadError, SealError};
use crate::models::topic::key::MessagePosition;
use crate::records::{Encoder, Head, TopicEncoder, decode, messages};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::sync::atomic::{AtomicU64, Ordering};
use unison_base::limits::VALUE_MAX;
use unison_base::prng::Prng;
use unison_base::{Hlc, Lsn, NamespaceName};
use unison_ports::Entropy;
use unison_schemas::{EntryType, OperationType};

struct Seeded(AtomicU64);

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        Prng::new(self.0.fetch_add(1, Ordering::Relaxed)).fill(buffer);
    }
}

fn ring(namespace: &str, masters: &[u8]) -> Keyring {
    let keys = masters.iter().map(|byte| MasterKey::new(&[*byte; 32])).collect();
    let name = NamespaceName::new(namespace).unwrap();
    Keyring::new(name, keys, Arc::new(Seeded(AtomicU64::new(1))))
}

const AT: MessagePosition = MessagePosition { time_ms: 1_700_000_000_000, lsn: Lsn(9), index: 0 };
const HEADERS: [(&str, &[u8]); 2] = [("content-type", b"text/plain"), ("empty", b"")];

/// A record with one message, closed.
fn record(sealer: Option<&Sealer>, compresses: bool, payload: &[u8], stream: u64) -> Vec<u8> {
    let (mut record, mut entries, mut scratch) =
        (Encoder::default(), TopicEncoder::default(), Vec::new());
    let head = Head {
        lsn: AT.lsn,
        hlc: Hlc(AT.time_ms << 16),
        durable: Lsn::ZERO,
        operation: OperationType::Publish,
        entry: EntryType::Event,
        transaction: None,
    };
    let mut stored =
        Stored { stream, expires_at: 5, flags: 1, headers: &HEADERS, payload: payload.into() };
    Closer { compresses, sealer, scratch: &mut scratch }.close(&mut stored, &AT, true);
    record.begin(&head, 1);
    entries.message(&mut record, &stored);
    record.finish();
    record.record().to_vec()
}

fn opened(
    record: &[u8],
    keys: &Keyring,
    at: &MessagePosition,
    wrapped: Option<&Wrapped>,
) -> Result<Vec<u8>, ReadError> {
    let record = decode(record).expect("a record");
    let (message, ..) = messages(&record).next().expect("a message");
    let mut opener = Opener::new(Arc::new(keys.clone()));
    let opened = opener.open(&message, at, |_| Ok(wrapped.cloned()))?;
    if let Some(opened) = &opened {
        assert!(opened.headers().eq(HEADERS));
    }
    Ok(opened.map_or_else(|| message.payload().to_vec(), |opened| opened.payload().to_vec()))
}

fn sealer(keys: &Keyring, epoch: u64) -> (Sealer, Wrapped) {
    let (key, wrapped) = keys.new_epoch(epoch).unwrap();
    (Sealer { key, keys: Arc::new(keys.clone()) }, wrapped)
}

#[test]
fn what_is_closed_opens_again_in_every_form() {
    let keys = ring("ns", &[1]);
    let (sealer, wrapped) = sealer(&keys, 1);
    let noise = {
        let mut noise = vec![0; 3_000];
        Prng::new(1).fill(&mut noise);
        noise
    };
    for payload in [&b""[..], b"x", &[7; 5_000], &noise, &vec![3; VALUE_MAX]] {
        for sealer in [None, Some(&sealer)] {
            for compresses in [false, true] {
                let record = record(sealer, compresses, payload, 3);
                assert_eq!(opened(&record, &keys, &AT, Some(&wrapped)).unwrap(), payload);
                let plain = record.windows(12).any(|part| part == b"content-type");
                assert!(!plain || sealer.is_none());
                let small = compresses && payload.len() > 4_000;
                assert_eq!(record.len() < payload.len(), small);
            }
        }
    }
}

/// Bits of everything that the message is: those of its entry, and what it is associated with.
#[test]
fn every_flipped_bit_of_a_sealed_message_is_refused() {
    let keys = ring("ns", &[1]);
    let (sealer, wrapped) = sealer(&keys, 1);
    let stored = {
        let mut scratch = Vec::new();
        let mut stored = Stored {
            stream: 3,
            expires_at: 5,
            flags: 1,
            headers: &HEADERS,
            payload: b"secret".as_slice().into(),
        };
        let mut closer = Closer { compresses: false, sealer: Some(&sealer), scratch: &mut scratch };
        closer.close(&mut stored, &AT, true);
        stored.payload.into_owned()
    };
    let open = |stream, expires_at, flags, payload: &[u8], at: &MessagePosition| {
        let (mut record, mut entries) = (Encoder::default(), TopicEncoder::default());
        let head = Head {
            lsn: AT.lsn,
            hlc: Hlc(AT.time_ms << 16),
            durable: Lsn::ZERO,
            operation: OperationType::Publish,
            entry: EntryType::Event,
            transaction: None,
        };
        record.begin(&head, 1);
        let payload = payload.into();
        entries.message(&mut record, &Stored { stream, expires_at, flags, headers: &[], payload });
        record.finish();
        opened(record.record(), &keys, at, Some(&wrapped))
    };
    assert_eq!(open(3, 5, 5, &stored, &AT).unwrap(), b"secret");
    for bit in 0..stored.len() * 8 {
        let mut flipped = stored.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(3, 5, 5, &flipped, &AT).is_err(), "bit {bit}");
    }
    for bit in 0..64 {
        assert!(open(3 ^ 1 << bit, 5, 5, &stored, &AT).is_err());
        assert!(open(3, 5 ^ 1 << bit, 5, &stored, &AT).is_err());
    }
    for flags in (0..=u8::MAX).filter(|flags| flags & FLAG_SEALED != 0 && *flags != 5) {
        assert!(open(3, 5, flags, &stored, &AT).is_err(), "{flags}");
    }
    for at in [
        MessagePosition { time_ms: AT.time_ms + 1, ..AT },
        MessagePosition { lsn: Lsn(10), ..AT },
        MessagePosition { index: 1, ..AT },
    ] {
        assert!(open(3, 5, 5, &stored, &at).is_err(), "{at:?}");
    }
    for length in 0..stored.len() {
        assert!(open(3, 5, 5, &stored[..length], &AT).is_err());
    }
}

#[test]
fn a_wrong_key_is_told_apart_from_damage_and_old_keys_still_open() {
    let keys = ring("ns", &[1]);
    let (sealer, wrapped) = sealer(&keys, 4);
    let record = record(Some(&sealer), true, b"secret", 3);
    let try_with = |keys: &Keyring, wrapped: Option<&Wrapped>| opened(&record, keys, &AT, wrapped);
    assert_eq!(try_with(&ring("ns", &[2, 1]), Some(&wrapped)).unwrap(), b"secret");
    let no_key = ReadError::Seal(SealError::NoKey { epoch: 4, key: wrapped.key });
    for keys in [Keyring::default(), ring("ns", &[]), ring("ns", &[2])] {
        assert_eq!(try_with(&keys, Some(&wrapped)), Err(no_key));
    }
    let damaged = ReadError::Seal(SealError::Epoch { epoch: 4 });
    assert_eq!(try_with(&keys, None), Err(damaged));
    assert_eq!(try_with(&ring("other", &[1]), Some(&wrapped)), Err(damaged));
    for bit in 0..wrapped.wrapped.len() * 8 {
        let mut flipped = wrapped.clone();
        flipped.wrapped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(try_with(&keys, Some(&flipped)), Err(damaged), "bit {bit}");
    }
    let other = Wrapped { epoch: 5, ..wrapped };
    assert!(keys.unwrap(&other).is_err(), "the key of another epoch");
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Both were computed by another implementation of the cipher: a key of 32 bytes 02 that one of 32
/// bytes 01 wraps, and a message that the first one seals.
#[test]
fn what_another_implementation_sealed_is_opened() {
    let keys = ring("default", &[1]);
    let text = include_str!("../../../../schemas/golden/key_epoch.hex");
    let golden = hex(text);
    let record = decode(&golden).unwrap();
    let (wrapped, ..) = crate::records::key_epoch(&record).unwrap();
    let sealed =
        hex("01000000000000002a0000000000000000000000f36ee7a6975ffb1783a4bcac893bb12723739b468b");
    let (mut record, mut entries) = (Encoder::default(), TopicEncoder::default());
    let head = Head {
        lsn: Lsn(42),
        hlc: Hlc(AT.time_ms << 16),
        durable: Lsn::ZERO,
        operation: OperationType::Publish,
        entry: EntryType::Event,
        transaction: None,
    };
    record.begin(&head, 1);
    let payload = sealed.into();
    let stored = Stored { stream: 1, expires_at: 0, flags: 4, headers: &[], payload };
    entries.message(&mut record, &stored);
    record.finish();
    let decoded = decode(record.record()).unwrap();
    let (message, ..) = messages(&decoded).next().unwrap();
    let at = MessagePosition { lsn: Lsn(42), ..AT };
    let mut opener = Opener::new(Arc::new(keys));
    let opened = opener.open(&message, &at, |_| Ok(Some(wrapped))).unwrap().unwrap();
    assert_eq!(opened.payload(), b"21.5");
    assert_eq!(opened.headers().count(), 0);
}

#[test]
fn no_key_is_ever_shown() {
    let keys = ring("ns", &[0xAB]);
    let shown = format!("{keys:?} {:?}", MasterKey::new(&[0xAB; 32]));
    assert!(shown.contains("KeyId(") && !shown.contains("171") && !shown.contains("abab"));
}

#[test]
fn hostile_lengths_take_no_memory_and_noise_is_no_body() {
    assert!(compressed(&[0; 40]).is_some() && compressed(b"short").is_none());
    for claimed in [u32::MAX, 1 << 30, 5 << 20, 2_000] {
        let bytes = [claimed.to_le_bytes().as_slice(), &[0; 7]].concat();
        assert_eq!(unfolded(&bytes), None, "{claimed}");
    }
    let mut prng = Prng::new(2);
    for _ in 0..20_000 {
        let mut noise = vec![0; usize::try_from(prng.below(80)).unwrap()];
        prng.fill(&mut noise);
        // Lengths that a block of this size could unfold to.
        noise.iter_mut().take(4).skip(1).for_each(|byte| *byte = 0);
        let _ = unfolded(&noise);
        let _ = super::body::Opened::new(noise);
    }
}
