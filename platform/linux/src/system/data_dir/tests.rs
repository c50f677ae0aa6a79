use super::{DataDirError, DataDirLock};

#[test]
fn a_second_holder_is_told_who_the_first_one_is() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("a/b");
    let first = DataDirLock::acquire(&data).unwrap();
    let refused = DataDirLock::acquire(&data).unwrap_err();
    assert_eq!(refused, DataDirError::InUse { pid: Some(std::process::id()) });
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    drop(first);
    DataDirLock::acquire(&data).unwrap();
}

#[test]
fn a_new_directory_gets_our_format_and_another_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let format = directory.path().join("format");
    drop(DataDirLock::acquire(directory.path()).unwrap());
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "unisondb-data 1\n");
    let refusals = [
        ("unisondb-data 2\n", DataDirError::Version { found: 2 }),
        ("unisondb-data\n", DataDirError::Foreign),
        ("unisondb-data one", DataDirError::Foreign),
        ("other 1\n", DataDirError::Foreign),
        ("", DataDirError::Foreign),
    ];
    for (text, expected) in refusals {
        std::fs::write(&format, text).unwrap();
        assert_eq!(DataDirLock::acquire(directory.path()).unwrap_err(), expected, "{text:?}");
    }
    std::fs::write(&format, [0xFF; 9000]).unwrap();
    assert_eq!(DataDirLock::acquire(directory.path()).unwrap_err(), DataDirError::Foreign);
    std::fs::write(&format, "unisondb-data 1\n").unwrap();
    DataDirLock::acquire(directory.path()).unwrap();
}
