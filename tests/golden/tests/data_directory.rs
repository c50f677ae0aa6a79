//! `schemas/data-directory.md`: what the Linux platform writes is what the page says.

use unison_base::LogId;
use unison_golden::{crc32c, number, vectors};
use unison_linux::{DataDirLock, FileStore};
use unison_ports::SegmentStore;

const PAGE: &str = "data-directory.md";

#[test]
fn the_identity_of_the_page_is_read_and_written_again_byte_for_byte() {
    let bytes = &vectors(PAGE)["log-id"];
    let id = LogId(core::array::from_fn(|index| index as u8));
    assert_eq!((&bytes[..4], number(&bytes[4..8])), (&b"UNID"[..], 1));
    assert_eq!(&bytes[8..24], id.0);
    assert_eq!(number(&bytes[24..]), u64::from(crc32c(&bytes[..24])));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.id");
    std::fs::write(&path, bytes).unwrap();
    let store = FileStore::open(dir.path(), false).unwrap();
    assert_eq!(store.log_id(), Ok(Some(id)));
    std::fs::remove_file(&path).unwrap();
    store.set_log_id(id).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), *bytes);
}

#[test]
fn a_new_data_directory_has_the_format_line_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let _lock = DataDirLock::acquire(dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("format")).unwrap(), vectors(PAGE)["format"]);
}
