use crate::FileStore;
use unison_base::SegmentId;
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

const SIZE: u64 = 64 << 10;
const ID: SegmentId = SegmentId(1);

fn open_files(store: &FileStore) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(store.path())).count()
}

fn store() -> (tempfile::TempDir, FileStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path(), false).unwrap();
    (directory, store)
}

#[test]
fn only_a_handle_that_writes_keeps_its_file_open() {
    let (_directory, store) = store();
    drop(store.create(ID, SIZE).unwrap());
    let file = store.open(ID, SegmentKind::Log).unwrap();
    let mut buffer = [1; 8];
    file.read_at(0, &mut buffer).unwrap();
    assert_eq!(file.view(0, 8), Some(&[0; 8][..]));
    file.sync().unwrap();
    assert_eq!(open_files(&store), 0);
    file.write_at(0, b"x").unwrap();
    file.release(0, SIZE);
    assert_eq!(open_files(&store), 1, "closed with a write that is not durable");
    file.sync().unwrap();
    file.release(0, SIZE - 1);
    assert_eq!(open_files(&store), 1);
    file.release(0, SIZE);
    assert_eq!(open_files(&store), 0);
    file.write_at(1, b"y").unwrap();
    assert_eq!(file.view(0, 2), Some(&b"xy"[..]));
}

#[test]
fn released_pages_come_back_with_the_same_bytes() {
    let (_directory, store) = store();
    let file = store.create(ID, SIZE).unwrap();
    let bytes: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    file.write_at(0, &bytes).unwrap();
    let view = file.view(0, bytes.len()).unwrap();
    for (offset, length) in [(0, SIZE), (1, 5000), (4096, 4096), (SIZE, 9), (9, u64::MAX - 9)] {
        file.release(offset, length);
        assert!(view == bytes, "{offset}+{length}");
    }
}

#[test]
fn errno_is_told_apart() {
    use rustix::io::Errno;
    let cases = [
        (Errno::NOSPC, IoError::NoSpace),
        (Errno::DQUOT, IoError::NoSpace),
        (Errno::ROFS, IoError::ReadOnly),
        (Errno::ACCESS, IoError::Denied),
        (Errno::PERM, IoError::Denied),
        (Errno::NOENT, IoError::NotFound),
        (Errno::EXIST, IoError::Exists),
        (Errno::IO, IoError::Device(5)),
    ];
    for (errno, expected) in cases {
        assert_eq!(super::io_error(errno), expected);
    }
}

#[test]
fn a_file_that_somebody_shortened_is_an_error_and_no_hang() {
    let (directory, store) = store();
    let file = store.create(ID, SIZE).unwrap();
    let path = directory.path().join("000000001.seg");
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
    assert_eq!(file.read_at(0, &mut [0; 20]), Err(IoError::OutOfBounds));
}
