//! The suite for the storage below the tree: redb's `StorageBackend`.

use redb::StorageBackend;
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::collections::BTreeMap;
use unison_base::prng::Prng;

/// A place for a tree under test.
pub trait TreeMedium: Sized {
    /// What it implements.
    type Tree: StorageBackend;

    /// A place where no tree is, with room for 4 MiB at least.
    fn fresh() -> Self;

    /// The tree's file as a process that starts now opens it.
    fn open(&self) -> Self::Tree;

    /// The place after a power cut that lost whatever was not synced; `None` where a test cannot
    /// cut the power.
    fn after_power_cut(self) -> Option<Self>;

    /// A place with room for so many bytes; `None` where a test cannot limit it.
    fn with_room(bytes: u64) -> Option<Self>;
}

/// One check.
pub struct Check {
    /// What it is called.
    pub name: &'static str,
    /// Panics when the contract is broken.
    pub run: fn(),
}

/// Lists the checks once: as a table, and as a macro that makes each a test.
macro_rules! checks {
    ($d:tt $($name:ident),+ $(,)?) => {
        /// Every check of the suite.
        #[must_use]
        pub fn all<M: TreeMedium>() -> Vec<Check> {
            vec![$(Check { name: stringify!($name), run: $name::<M> }),+]
        }

        /// Makes a test of every check of the tree suite for one place.
        #[macro_export]
        macro_rules! tree_conformance {
            ($d medium:ty) => {
                $(
                    #[test]
                    fn $name() {
                        $crate::tree::$name::<$d medium>();
                    }
                )+
            };
        }
    };
}

checks! { $
    a_new_tree_is_empty,
    what_a_file_grows_by_is_zeros,
    a_file_of_a_tree_is_a_vector,
    nothing_is_read_past_the_end,
    a_tree_survives_a_restart,
    what_is_synced_survives_a_power_cut,
    a_length_is_kept_with_what_was_synced_behind_it,
    growth_beyond_the_room_is_refused_and_changes_nothing,
    a_database_is_a_map_across_restarts_and_power_cuts,
}

const SIZE: usize = 300_000;
const TABLE: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("table");

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 250) as u8 ^ seed | 1).collect()
}

fn read<T: StorageBackend>(tree: &T, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xA5; length];
    tree.read(offset, &mut bytes).expect("a read inside the file");
    bytes
}

fn length<T: StorageBackend>(tree: &T) -> u64 {
    tree.len().expect("a length")
}

/// redb takes an empty file for one that it has to make.
pub fn a_new_tree_is_empty<M: TreeMedium>() {
    assert_eq!(length(&M::fresh().open()), 0);
}

/// Also where there was something before the file was made shorter.
pub fn what_a_file_grows_by_is_zeros<M: TreeMedium>() {
    let medium = M::fresh();
    let tree = medium.open();
    for (shorter, longer) in [(0, SIZE), (0, 700), (4096, SIZE), (1234, 200_000), (1235, SIZE)] {
        tree.set_len(shorter as u64).expect("a shorter file");
        let kept = read(&tree, 0, shorter);
        tree.set_len(longer as u64).expect("a longer file");
        assert_eq!(length(&tree), longer as u64);
        assert!(read(&tree, 0, shorter) == kept, "{shorter} bytes were to stay");
        let grown = read(&tree, shorter as u64, longer - shorter);
        assert!(grown.iter().all(|&byte| byte == 0), "{shorter} to {longer}");
        tree.write(0, &pattern(longer, 7)).expect("a write of everything");
    }
}

/// Writes of all lengths at all places, read back in other pieces.
pub fn a_file_of_a_tree_is_a_vector<M: TreeMedium>() {
    let medium = M::fresh();
    let tree = medium.open();
    let mut prng = Prng::new(1);
    let mut model = vec![0; SIZE];
    tree.set_len(SIZE as u64).expect("a length");
    for round in 0..1_500_u32 {
        let longest = [20, 600, 5_000, 60_000][prng.below(4) as usize];
        let length = prng.below(longest) as usize;
        let start = prng.below((model.len() - length) as u64 + 1) as usize;
        if prng.chance(50) {
            let bytes = pattern(length, round as u8);
            tree.write(start as u64, &bytes).expect("a write");
            model[start..start + length].copy_from_slice(&bytes);
        }
        assert!(read(&tree, start as u64, length) == model[start..start + length], "{round}");
        if round % 100 == 99 {
            tree.sync_data().expect("a sync");
        }
    }
    assert!(read(&tree, 0, SIZE) == model);
}

/// An error, not zeros: redb tells a file that was cut short by it.
pub fn nothing_is_read_past_the_end<M: TreeMedium>() {
    let medium = M::fresh();
    let tree = medium.open();
    assert!(tree.read(0, &mut [0]).is_err());
    tree.set_len(10_000).expect("a length");
    for (offset, length) in [(9_999, 2), (10_000, 1), (20_000, 5)] {
        assert!(tree.read(offset, &mut vec![0; length]).is_err(), "{length} bytes at {offset}");
    }
    tree.set_len(5_000).expect("a shorter file");
    assert!(tree.read(4_999, &mut [0; 2]).is_err());
    assert_eq!(read(&tree, 4_999, 1), [0]);
}

/// Synced or not: the process may come and go.
pub fn a_tree_survives_a_restart<M: TreeMedium>() {
    let medium = M::fresh();
    let tree = medium.open();
    tree.set_len(50_000).expect("a length");
    tree.write(333, &pattern(40_000, 3)).expect("a write");
    drop(tree);
    let tree = medium.open();
    assert_eq!(length(&tree), 50_000);
    assert!(read(&tree, 333, 40_000) == pattern(40_000, 3));
}

/// A1.
pub fn what_is_synced_survives_a_power_cut<M: TreeMedium>() {
    let medium = M::fresh();
    let tree = medium.open();
    tree.set_len(SIZE as u64).expect("a length");
    for round in 0..5 {
        tree.write(round * 50_000, &pattern(50_000, round as u8)).expect("a write");
        tree.sync_data().expect("a sync");
    }
    tree.write(250_000, &[0xEE; 5_000]).expect("a write that is not synced");
    drop(tree);
    let Some(medium) = medium.after_power_cut() else { return };
    let tree = medium.open();
    assert_eq!(length(&tree), SIZE as u64);
    for round in 0..5 {
        assert!(read(&tree, round * 50_000, 50_000) == pattern(50_000, round as u8), "{round}");
    }
}

/// The newest length that was synced, longer or shorter than the one before.
pub fn a_length_is_kept_with_what_was_synced_behind_it<M: TreeMedium>() {
    for lengths in [[4_096, 200_000], [200_000, 4_096], [SIZE as u64, 0]] {
        let medium = M::fresh();
        let tree = medium.open();
        for length in lengths {
            tree.set_len(length).expect("a length");
            tree.sync_data().expect("a sync");
        }
        drop(tree);
        let Some(medium) = medium.after_power_cut() else { return };
        assert_eq!(length(&medium.open()), lengths[1]);
    }
}

/// What is there stays usable.
pub fn growth_beyond_the_room_is_refused_and_changes_nothing<M: TreeMedium>() {
    let Some(medium) = M::with_room(256 << 10) else { return };
    let tree = medium.open();
    tree.set_len(128 << 10).expect("a length within the room");
    tree.write(0, &pattern(128 << 10, 1)).expect("a write");
    assert!(tree.set_len(64 << 20).is_err());
    assert_eq!(length(&tree), 128 << 10);
    tree.sync_data().expect("a sync");
    assert!(read(&tree, 0, 128 << 10) == pattern(128 << 10, 1));
    tree.set_len(192 << 10).expect("a length within the room");
}

/// What redb makes of all that: every committed transaction is there, whole, and nothing else.
pub fn a_database_is_a_map_across_restarts_and_power_cuts<M: TreeMedium>() {
    let mut medium = M::fresh();
    let mut prng = Prng::new(6);
    let mut model = BTreeMap::new();
    for round in 0..8_u64 {
        let database = redb::Database::builder()
            .set_cache_size(1 << 20)
            .create_with_backend(medium.open())
            .expect("a database opens");
        for number in 0..6 {
            let transaction = database.begin_write().expect("a transaction");
            {
                let mut table = transaction.open_table(TABLE).expect("a table");
                for _ in 0..prng.between(1, 40) {
                    let (key, length) = (prng.below(200), prng.below(3_000) as usize);
                    let value = pattern(length, (round * 8 + number) as u8);
                    table.insert(key, value.as_slice()).expect("an insertion");
                    model.insert(key, value);
                }
            }
            transaction.commit().expect("a commit");
        }
        drop(database);
        // A database that is dropped in order has nothing left to lose.
        if round % 2 == 1 {
            let Some(left) = medium.after_power_cut() else { return };
            medium = left;
        }
        let database =
            redb::Database::builder().create_with_backend(medium.open()).expect("it opens again");
        let transaction = database.begin_read().expect("a transaction");
        let table = transaction.open_table(TABLE).expect("a table");
        let found = table.iter().expect("a range").map(|row| {
            let (key, value) = row.expect("a row");
            (key.value(), value.value().to_vec())
        });
        assert!(found.eq(model.clone()), "round {round}");
    }
}
