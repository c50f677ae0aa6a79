//! Runs of keys against an ordered map, and how full their pages are.

use super::run::Run;
use super::{DATA, Tree};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use redb::{Database, ReadableTable, ReadableTableMetadata};
use unison_base::prng::Prng;
use unison_sim::disk::CrashDisk;

fn tree() -> Tree {
    let disk = CrashDisk::new();
    Tree::new(Database::builder().create_with_backend(disk.tree("ns")).unwrap())
}

/// Puts ascending keys into the table; what they had before must be what the model says.
fn put(tree: &Tree, model: &mut BTreeMap<Vec<u8>, Vec<u8>>, keys: &[(Vec<u8>, Vec<u8>)]) {
    let transaction = tree.begin_write().unwrap();
    {
        let (mut table, mut run) = (transaction.open_table(DATA).unwrap(), Run::default());
        for (key, value) in keys {
            assert!(run.is_followed_by(key));
            run.push(key, value);
            assert!(!run.is_followed_by(key));
        }
        let mut seen = Vec::new();
        run.put_into(&mut table, |key, value, replaced| {
            assert_eq!(replaced.map(Vec::from), model.insert(key.into(), value.into()));
            seen.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, keys);
    }
    transaction.commit().unwrap();
}

fn contents(tree: &Tree) -> Vec<(Vec<u8>, Vec<u8>)> {
    let transaction = tree.begin_write().unwrap();
    let table = transaction.open_table(DATA).unwrap();
    let all = table.iter().unwrap().map(|item| {
        let (key, value) = item.unwrap();
        (key.value().to_vec(), value.value().to_vec())
    });
    all.collect()
}

#[test]
fn runs_of_any_keys_do_what_an_ordered_map_does() {
    for seed in 0..20 {
        let (tree, mut model, mut prng) = (tree(), BTreeMap::new(), Prng::new(seed));
        for _ in 0..15 {
            // Dense ones meet what is there, thin ones lie in gaps.
            let (reach, count) = (1 << (4 + prng.below(16)), prng.below(600));
            let start = prng.below(1 << 18);
            let mut keys = BTreeMap::new();
            for _ in 0..count {
                let number = u32::try_from(start + prng.below(reach)).unwrap();
                let value = vec![7; usize::try_from(prng.below(40)).unwrap()];
                keys.insert(number.to_be_bytes().to_vec(), value);
            }
            put(&tree, &mut model, &keys.into_iter().collect::<Vec<_>>());
        }
        assert_eq!(contents(&tree), model.into_iter().collect::<Vec<_>>());
    }
}

/// Streams that grow by some pages at a time, as those of topics do.
#[test]
fn pages_are_full_wherever_keys_ascend() {
    for (streams, each) in [(1_u32, 400_u32), (40, 700)] {
        let (tree, mut model) = (tree(), BTreeMap::new());
        for round in 0..6_u32 {
            let keys = (0..streams).flat_map(|stream| {
                (0..each).map(move |at| {
                    let (stream, at) = (stream.to_be_bytes(), (round * each + at).to_be_bytes());
                    ([stream, at].concat(), vec![1; 20])
                })
            });
            put(&tree, &mut model, &keys.collect::<Vec<_>>());
        }
        let transaction = tree.begin_write().unwrap();
        let stats = transaction.open_table(DATA).unwrap().stats().unwrap();
        let stored = stats.stored_bytes() + stats.metadata_bytes();
        let pages = 4_096 * (stats.leaf_pages() + stats.branch_pages());
        assert!(pages * 4 < stored * 5, "{streams} streams: {stored} B in {pages} B");
    }
}
