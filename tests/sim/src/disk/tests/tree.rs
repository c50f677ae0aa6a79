//! redb over the disk: every power cut leaves a committed state.

use crate::disk::{CrashDisk, Cut};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use unison_base::prng::Prng;

const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("t");
const COMMITS: u64 = 12;

fn open(disk: &CrashDisk) -> Database {
    Database::builder().set_cache_size(1 << 20).create_with_backend(disk.tree("a")).unwrap()
}

/// One commit writes its number under 20 keys.
fn commit(database: &Database, number: u64) {
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(TABLE).unwrap();
    for key in 0..20 {
        table.insert(number * 7 + key, number).unwrap();
        table.insert(1_000 + key, number).unwrap();
    }
    drop(table);
    transaction.commit().unwrap();
}

/// The newest commit, after checking that it is there as a whole.
fn newest(database: &Database) -> u64 {
    let transaction = database.begin_read().unwrap();
    let Ok(table) = transaction.open_table(TABLE) else { return 0 };
    let numbers: Vec<_> =
        table.range(1_000..).unwrap().map(|entry| entry.unwrap().1.value()).collect();
    assert_eq!(numbers, vec![numbers[0]; 20], "a commit is there in part");
    numbers[0]
}

#[test]
fn a_cut_at_any_moment_leaves_all_that_was_committed() {
    let disk = CrashDisk::new();
    let database = open(&disk);
    disk.record_moments();
    let mut committed = Vec::new();
    for number in 1..=COMMITS {
        commit(&database, number);
        committed.push(disk.moments());
    }
    let mut prng = Prng::new(11);
    let moments = disk.take_moments();
    let mut states = 0;
    for (index, moment) in moments.iter().enumerate() {
        let acknowledged = committed.iter().filter(|&&at| at <= index).count() as u64;
        for cut in Cut::ALL {
            let found = newest(&open(&moment.cut(cut, &mut prng)));
            assert!((acknowledged..=acknowledged + 1).contains(&found), "{cut:?} at {index}");
            states += 1;
        }
    }
    println!("redb: {states} states after a power cut, {} moments", moments.len());
}
