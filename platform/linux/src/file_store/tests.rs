use super::FileStore;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

const SIZE: u64 = 64 << 10;
const ID: SegmentId = SegmentId(1);

fn store() -> (tempfile::TempDir, FileStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path().join("ns/wal"), true).unwrap();
    (directory, store)
}

fn names(store: &FileStore) -> Vec<String> {
    let entries = std::fs::read_dir(store.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_missing_directory_is_made_only_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/wal");
    assert_eq!(FileStore::open(&path, false).unwrap_err(), IoError::NotFound);
    FileStore::open(&path, true).unwrap();
    FileStore::open(&path, false).unwrap();
    std::fs::write(directory.path().join("file"), b"").unwrap();
    assert!(FileStore::open(directory.path().join("file"), true).is_err());
}

#[test]
fn the_space_of_a_new_segment_is_on_the_device() {
    use std::os::unix::fs::MetadataExt;
    let (_directory, store) = store();
    store.create(ID, SIZE).unwrap();
    let metadata = std::fs::metadata(store.path().join("000000001.seg")).unwrap();
    assert_eq!(metadata.len(), SIZE);
    assert!(metadata.blocks() * 512 >= SIZE, "{} blocks", metadata.blocks());
}

#[test]
fn a_creation_that_fails_leaves_no_file() {
    let (_directory, store) = store();
    assert!(store.create(ID, u64::MAX).is_err());
    assert!(store.create(ID, 0).is_err());
    assert_eq!(names(&store), Vec::<String>::new());
}

#[test]
fn each_segment_set_aside_keeps_a_name_and_the_newest_answers() {
    let (_directory, store) = store();
    for round in 1..=4_u8 {
        store.create(ID, SIZE).unwrap().write_at(0, &[round]).unwrap();
        store.set_kind(ID, SegmentKind::Log, SegmentKind::Aside).unwrap();
        let mut byte = [0];
        store.open(ID, SegmentKind::Aside).unwrap().read_at(0, &mut byte).unwrap();
        assert_eq!(byte, [round]);
    }
    let expected = ["", ".2", ".3", ".4"].map(|copy| format!("000000001.seg.rot{copy}"));
    assert_eq!(names(&store), expected);
    let first = |name: &String| std::fs::read(store.path().join(name)).unwrap()[0];
    assert_eq!(expected.each_ref().map(first), [4, 1, 2, 3]);
}

#[test]
fn what_is_no_segment_is_not_listed() {
    let (_directory, store) = store();
    store.create(ID, SIZE).unwrap();
    store.set_log_id(LogId([1; 16])).unwrap();
    for name in ["000000002.seg.rot.2", "x", "000000000.seg", "2.seg"] {
        std::fs::write(store.path().join(name), b"data").unwrap();
    }
    std::fs::create_dir(store.path().join("000000003.seg")).unwrap();
    let mut listed = Vec::new();
    store.list(&mut |entry| listed.push((entry.id, entry.kind, entry.size))).unwrap();
    assert_eq!(listed, [(ID, SegmentKind::Log, SIZE)]);
}

#[test]
fn garbage_is_no_identity() {
    let (_directory, store) = store();
    assert_eq!(store.log_id(), Ok(None));
    for garbage in [&b""[..], b"UNID", &[0; 28], &[9; 100_000]] {
        std::fs::write(store.path().join("log.id"), garbage).unwrap();
        assert_eq!(store.log_id(), Err(IoError::OutOfBounds));
    }
    store.set_log_id(LogId([3; 16])).unwrap();
    assert_eq!(store.log_id(), Ok(Some(LogId([3; 16]))));
}

#[test]
fn a_handle_follows_its_file_without_holding_it_open() {
    let (_directory, store) = store();
    store.create(ID, SIZE).unwrap().write_at(9, b"here").unwrap();
    let (moved, removed) =
        (store.open(ID, SegmentKind::Log).unwrap(), store.open(ID, SegmentKind::Log).unwrap());
    store.set_kind(ID, SegmentKind::Log, SegmentKind::Values).unwrap();
    assert_eq!(moved.view(9, 4), Some(&b"here"[..]));
    store.remove(ID, SegmentKind::Values).unwrap();
    let mut buffer = [0; 4];
    removed.read_at(9, &mut buffer).unwrap();
    assert_eq!((&buffer, removed.view(9, 4)), (b"here", Some(&b"here"[..])));
    removed.release(0, SIZE);
    removed.read_at(9, &mut buffer).unwrap();
}

#[test]
fn handles_survive_being_renamed_over() {
    let (_directory, store) = store();
    store.create(ID, SIZE).unwrap().write_at(0, b"1").unwrap();
    store.set_kind(ID, SegmentKind::Log, SegmentKind::Aside).unwrap();
    let older = store.open(ID, SegmentKind::Aside).unwrap();
    store.create(ID, SIZE).unwrap().write_at(0, b"2").unwrap();
    store.set_kind(ID, SegmentKind::Log, SegmentKind::Aside).unwrap();
    assert_eq!(older.view(0, 1), Some(&b"1"[..]));
}
