//! Expiry when something fails: an append, or the tree's bytes.

use crate::fixture::{self, NOW_MS, flush, options};
use redb::TableDefinition;
use unison_engine::{Write, WriteError};
use unison_ports::IoError;
use unison_sim::disk::{Calls, Fault};

const DATA: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("data");

#[test]
fn what_has_expired_is_announced_again_when_the_record_was_not_written() {
    let (disk, mut engine) = fixture::new(options());
    engine.stage(&Write::put(b"a", b"1").expiring_at(NOW_MS + 10), NOW_MS).unwrap();
    fixture::commit(&mut engine);
    assert!(engine.expire(NOW_MS + 20).unwrap().is_some());
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    assert!(matches!(engine.append(NOW_MS), Err(WriteError::Append(_))));
    assert_eq!(engine.next_expiry().unwrap(), Some(NOW_MS + 10));
    assert!(engine.expire(NOW_MS + 20).unwrap().is_some());
    fixture::commit(&mut engine);
    assert_eq!(engine.next_expiry().unwrap(), None);
    assert!(engine.reader().get(b"a").unwrap().is_none());
}

/// A row's head and a key in the index of expiry, and nowhere else.
#[test]
fn an_index_of_what_is_not_there_comes_to_an_end() {
    let (disk, mut engine) = fixture::new(options());
    fixture::put(&mut engine, b"a", b"1");
    fixture::commit(&mut engine);
    flush(&mut engine);
    engine.close().unwrap();
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    let write = tree.begin_write().unwrap();
    {
        let mut data = write.open_table(DATA).unwrap();
        let time = (NOW_MS + 5).to_be_bytes();
        for key in [&b"\xFDrow\0\0"[..], b"\xFEkey"] {
            data.insert([&[0xFB], &time[..], key].concat().as_slice(), &b""[..]).unwrap();
        }
    }
    write.commit().unwrap();
    drop(tree);
    let mut engine = fixture::open(&disk, options());
    assert!(engine.expire(NOW_MS + 10).unwrap().is_some());
    fixture::commit(&mut engine);
    flush(&mut engine);
    assert_eq!((engine.next_expiry().unwrap(), engine.stats().tree_keys), (None, 1));
}
