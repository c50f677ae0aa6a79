//! The engine's keys of rows sort as rows and columns do, and come back as they were.

use super::{RowKeys, from_log, log_head, row_of, split, start};
use alloc::vec;
use alloc::vec::Vec;
use unison_base::prng::Prng;

fn bytes(prng: &mut Prng, most: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(prng.below(most)).unwrap()];
    prng.fill(&mut bytes);
    // Few different bytes, zeros and the escape among them.
    bytes.iter_mut().for_each(|byte| *byte = [0, 1, b'a', 0xFF][usize::from(*byte % 4)]);
    bytes
}

#[test]
fn keys_sort_by_row_then_column_and_come_back() {
    let mut prng = Prng::new(1);
    let mut cells = Vec::new();
    for _ in 0..2_000 {
        let mut row = bytes(&mut prng, 5);
        row.push([0, 7][usize::try_from(prng.below(2)).unwrap()]);
        cells.push((row, bytes(&mut prng, 4)));
    }
    let key = |(row, column): &(Vec<u8>, Vec<u8>)| RowKeys::new(row).cell(column).to_vec();
    let mut keys: Vec<Vec<u8>> = cells.iter().map(key).collect();
    cells.sort();
    keys.sort();
    assert_eq!(keys, cells.iter().map(key).collect::<Vec<_>>());
    for (key, (row, column)) in keys.iter().zip(&cells) {
        let (head, found) = split(key).unwrap();
        assert_eq!((row_of(head), found), (row.clone(), column.as_slice()));
        assert_eq!(head, RowKeys::new(row).head());
        for length in 0..=row.len() {
            assert!(key.starts_with(&start(&row[..length])));
        }
    }
}

#[test]
fn a_prefix_holds_the_rows_that_begin_with_it_and_no_others() {
    let mut prng = Prng::new(2);
    for _ in 0..5_000 {
        let (row, prefix) = (bytes(&mut prng, 5), bytes(&mut prng, 4));
        let inside = RowKeys::new(&row).head().starts_with(&start(&prefix));
        assert_eq!(inside, row.starts_with(&prefix), "{row:?} {prefix:?}");
    }
}

#[test]
fn the_form_of_the_log_is_read_back_and_nothing_else_is() {
    let key = [&log_head(3), &b"row"[..]].concat();
    assert_eq!(key, b"\xFD\0\0\0\x03row");
    assert_eq!(from_log(&key), Some(&b"row"[..]));
    for other in [&b"\xFE\0\0\0\x03row"[..], b"\xFD\0\0\0\x02row", b"\xFD\0\0\0\0", b"\xFD", b""] {
        assert_eq!(from_log(other), None);
    }
}

#[test]
fn what_is_no_key_of_a_row_is_none() {
    for key in [&b""[..], b"\xFErow\0\0", b"\xFDrow", b"\xFDrow\0", b"\xFDrow\0\xFF"] {
        assert_eq!(split(key), None, "{key:?}");
    }
}

#[test]
fn keys_are_those_of_the_page() {
    let page = include_str!("../../../../../schemas/tree.md");
    let mut keys = RowKeys::new(b"a\0b");
    let hex = |bytes: &[u8]| {
        bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect::<alloc::string::String>()
    };
    assert!(page.contains(&alloc::format!("`{}`", hex(keys.head()))));
    assert!(page.contains(&alloc::format!("`{}`", hex(keys.cell(b"name")))));
}
