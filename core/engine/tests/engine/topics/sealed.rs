//! Sealed namespaces: what is written is hidden, and what is not sealed never taken for it.

use super::{filter, message, payloads, publish, retained, write};
use crate::fixture::{self, NOW_MS, Sim, commit, flush, follower_options, keys, options};
use crate::follow::fetch;
use std::ops::ControlFlow;
use unison_base::{Lsn, TxnId};
use unison_engine::{
    ChangeFilter, ChangeId, ChangeKind, Compression, Encryption, EngineOptions, MessageRequest,
    NewMessage, Operation, ReadError, SealError, TopicSettings, Write, WriteError,
};
use unison_ports::{IoError, SegmentFile, SegmentStore};
use unison_sim::disk::{Calls, CrashDisk, Cut, Fault};
use unison_walfs::LogRole;

const SECRET: &[u8] = b"the door of site 7 is open, the door of site 7 is open";

fn sealing() -> TopicSettings {
    TopicSettings {
        compression: Compression::Lz4,
        encryption: Encryption::ChaCha20Poly1305,
        ..TopicSettings::default()
    }
}

fn seal(engine: &mut Sim) {
    write(engine, Operation::SetTopics(&sealing())).unwrap();
}

fn epoch(engine: &Sim) -> u64 {
    engine.reader().snapshot().newest_seal().unwrap().map_or(0, |seal| seal.epoch)
}

fn first_error(engine: &Sim, topic: &str) -> Option<ReadError> {
    let (filter, snapshot) = (filter(topic), engine.reader().snapshot());
    let mut messages = snapshot.messages(MessageRequest::all(&filter)).unwrap();
    messages.find_map(Result::err)
}

/// Everything that is on a disk: segments and tree.
fn bytes(disk: &CrashDisk) -> Vec<u8> {
    let (store, mut all) = (disk.store("ns"), Vec::new());
    let mut entries = Vec::new();
    store.list(&mut |entry| entries.push(entry)).unwrap();
    for entry in entries {
        let file = store.open(entry.id, entry.kind).unwrap();
        let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        all.extend(bytes);
    }
    let tree = disk.tree("ns");
    let mut bytes = vec![0; usize::try_from(redb::StorageBackend::len(&tree).unwrap()).unwrap()];
    redb::StorageBackend::read(&tree, 0, &mut bytes).unwrap();
    all.extend(bytes);
    all
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn no_byte_of_a_sealed_message_is_on_the_disk_and_every_reader_sees_it() {
    let disk = CrashDisk::new();
    let mut engine = fixture::open_with_keys(&disk, options());
    let headers = [("classified-header", &b"classified-value"[..])];
    let whole = [NewMessage { headers: &headers, retain: true, ..message("open/topic", SECRET) }];
    write(&mut engine, Operation::Publish(&whole)).unwrap();
    for part in [&SECRET[..20], b"classified-header", b"classified-value"] {
        assert!(holds(&bytes(&disk), part), "the search finds what is there");
    }
    drop(engine);
    let disk = CrashDisk::new();
    let mut engine = fixture::open_with_keys(&disk, options());
    for compression in [Compression::None, Compression::Lz4] {
        let settings = TopicSettings { compression, ..sealing() };
        write(&mut engine, Operation::SetTopics(&settings)).unwrap();
        write(&mut engine, Operation::Publish(&whole)).unwrap();
        write(&mut engine, Operation::PublishPattern(&[message("open/+", SECRET)])).unwrap();
        let id = TxnId([3; 16]);
        for operation in [Operation::Begin, Operation::Publish(&whole), Operation::Commit(&[])] {
            engine.stage(&Write::new(operation).within(id), NOW_MS).ok();
        }
        commit(&mut engine);
        flush(&mut engine);
    }
    assert_eq!(payloads(&engine.reader(), "open/topic").len(), 5);
    assert!(payloads(&engine.reader(), "open/topic").iter().all(|payload| payload == SECRET));
    let shown = retained(&engine.reader(), "#", 0);
    assert_eq!((shown[0].payload.as_slice(), shown[0].headers.len()), (SECRET, 1));
    let mut told = 0;
    let mut changes = engine.reader().changes(ChangeFilter::default(), ChangeId::default());
    let read = changes.read(usize::MAX, &mut |change| {
        if change.kind == ChangeKind::Publish {
            assert_eq!((change.value(), change.is_closed()), (Some(SECRET), false));
            told += 1;
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    assert_eq!(told, 5);
    let bytes = bytes(&disk);
    assert!(holds(&bytes, b"open"), "names of topics are not hidden");
    for part in [&SECRET[..20], &SECRET[5..25], b"classified-header", b"classified-value"] {
        assert!(!holds(&bytes, part));
    }
}

#[test]
fn without_a_key_nothing_is_published_and_no_lsn_is_taken() {
    let disk = CrashDisk::new();
    let mut engine = fixture::open(&disk, options());
    let next = engine.next_lsn();
    let error = write(&mut engine, Operation::SetTopics(&sealing())).unwrap_err();
    assert_eq!((error, engine.next_lsn()), (WriteError::NoKey, next));
    engine.set_keys(keys());
    seal(&mut engine);
    publish(&mut engine, "t", SECRET);
    drop(engine);
    let mut engine = fixture::open(&disk, options());
    let next = engine.next_lsn();
    let error = write(&mut engine, Operation::Publish(&[message("new", b"")])).unwrap_err();
    assert_eq!((error, engine.next_lsn()), (WriteError::NoKey, next));
    assert!(error.to_string().contains("keys file"));
    let error = first_error(&engine, "t").expect("it is closed");
    assert!(matches!(error, ReadError::Seal(SealError::NoKey { epoch: 1, .. })), "{error}");
    assert!(!engine.reader().snapshot().newest_seal().unwrap().unwrap().known);
    write(&mut engine, Operation::SetTopics(&TopicSettings::default())).unwrap();
    publish(&mut engine, "open", b"1");
    assert_eq!(payloads(&engine.reader(), "open"), [b"1"]);
}

#[test]
fn a_follower_without_the_key_has_the_bytes_and_one_with_it_reads_and_leads() {
    let disk = CrashDisk::new();
    let mut engine = fixture::open_with_keys(&disk, options());
    seal(&mut engine);
    publish(&mut engine, "t", SECRET);
    let edge = CrashDisk::new();
    let mut follower = fixture::open(&edge, follower_options());
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    flush(&mut follower);
    assert!(matches!(first_error(&follower, "t"), Some(ReadError::Seal(SealError::NoKey { .. }))));
    let mut closed = 0;
    let mut changes = follower.reader().changes(ChangeFilter::default(), ChangeId::default());
    let read = changes.read(usize::MAX, &mut |change| {
        closed += u32::from(change.is_closed() && change.value().is_none());
        ControlFlow::Continue(())
    });
    read.unwrap();
    assert_eq!(closed, 1);
    follower.set_keys(keys());
    assert_eq!(payloads(&follower.reader(), "t"), [SECRET]);
    drop(follower);
    let leader = EngineOptions { role: LogRole::Leader, ..options() };
    let mut leader = fixture::open_with_keys(&edge, leader);
    publish(&mut leader, "t", b"mine");
    assert_eq!(payloads(&leader.reader(), "t"), [SECRET, b"mine"]);
    assert_eq!(epoch(&leader), 2);
}

#[test]
fn no_lsn_is_sealed_for_twice_with_the_same_key() {
    let disk = CrashDisk::new();
    let mut engine = fixture::open_with_keys(&disk, options());
    seal(&mut engine);
    publish(&mut engine, "t", b"1");
    assert_eq!(epoch(&engine), 1);
    let staged = [message("t", b"2")];
    engine.stage(&Write::new(Operation::Publish(&staged)), NOW_MS).unwrap();
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    assert!(matches!(engine.append(NOW_MS), Err(WriteError::Append(_))));
    publish(&mut engine, "t", b"3");
    assert_eq!(epoch(&engine), 2, "what was taken back may be on the disk");
    engine.stage(&Write::new(Operation::Publish(&staged)), NOW_MS).unwrap();
    engine.append(NOW_MS).unwrap();
    let disk = disk.crash(Cut::ALL[0], &mut unison_base::prng::Prng::new(1));
    drop(engine);
    let mut engine = fixture::open_with_keys(&disk, options());
    let before = engine.appended();
    publish(&mut engine, "t", b"4");
    assert_eq!((epoch(&engine), engine.appended()), (3, Lsn(before.0 + 2)));
    assert_eq!(payloads(&engine.reader(), "t").last().unwrap(), b"4");
    // As long as the writer has the log open it is one key.
    publish(&mut engine, "t", b"5");
    assert_eq!(epoch(&engine), 3);
}

#[test]
fn a_small_log_is_what_compression_is_for() {
    let sizes = [Compression::None, Compression::Lz4].map(|compression| {
        let disk = CrashDisk::new();
        let mut engine = fixture::open(&disk, options());
        let settings = TopicSettings { compression, ..TopicSettings::default() };
        write(&mut engine, Operation::SetTopics(&settings)).unwrap();
        let payload = SECRET.repeat(20);
        publish(&mut engine, "t", &payload);
        assert_eq!(payloads(&engine.reader(), "t"), [payload]);
        engine.tail().offset
    });
    assert!(sizes[1] < sizes[0] / 2, "{sizes:?}");
}
