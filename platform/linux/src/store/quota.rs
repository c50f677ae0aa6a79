//! The quota of a namespace: a line of text beside its log, a decimal number of bytes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

const NAME: &str = "quota";
/// A quota that is being written; whatever a cut left of it is replaced.
const UNFINISHED: &str = "quota.new";

/// The quota of a namespace's directory, if it has one.
pub(super) fn read(dir: &Path) -> io::Result<Option<u64>> {
    let text = match fs::read_to_string(dir.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let why = "its file `quota` holds no whole number of bytes: write one, or remove the file";
    let malformed = |_| io::Error::new(io::ErrorKind::InvalidData, why);
    text.trim().parse().map(Some).map_err(malformed)
}

/// Sets or removes it, durably; after a cut there is the old one or the new one.
pub(super) fn write(dir: &Path, bytes: Option<u64>) -> io::Result<()> {
    match bytes {
        Some(bytes) => {
            let mut file = File::create(dir.join(UNFINISHED))?;
            writeln!(file, "{bytes}")?;
            file.sync_all()?;
            fs::rename(dir.join(UNFINISHED), dir.join(NAME))?;
        }
        None => match fs::remove_file(dir.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    File::open(dir)?.sync_all()
}
