//! Large objects, from files and into files.

use super::{absent, list_pages, written};
use crate::client::ClientError;
use crate::shell::commands::{ListArguments, ObjectCommand};
use crate::shell::error::ShellError;
use crate::shell::output::Cell;
use crate::shell::session::Session;
use std::fs::File;
use std::path::Path;

pub(super) fn run(session: &mut Session, command: ObjectCommand) -> Result<(), ShellError> {
    match command {
        ObjectCommand::Put { key, file, when } => {
            let opened = File::open(&file).map_err(ShellError::file(&file))?;
            let done = session.client.upload(&key.0, opened, when.condition())?;
            let sentence = format!(
                "ok, {} bytes, checksum {}, version {}",
                done.bytes, done.checksum, done.lsn
            );
            let checksum = Cell::Number(done.checksum.into());
            let record =
                [("bytes", done.bytes.into()), ("checksum", checksum), ("lsn", done.lsn.into())];
            Ok(session.output.done(&sentence, &record)?)
        }
        ObjectCommand::Get { key, file } => get(session, &key.0, &file),
        ObjectCommand::Del { key, when } => {
            let lsn = session.client.delete_object(&key.0, when.condition())?;
            written(session, lsn)
        }
        ObjectCommand::List(arguments) => list(session, &arguments),
    }
}

/// Writes beside the file first: it is there whole or not at all.
fn get(session: &mut Session, key: &[u8], file: &Path) -> Result<(), ShellError> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let mut target = File::create(partial).map_err(ShellError::file(partial))?;
    let bytes = session.client.download(key, &mut target).map_err(|error| {
        // It may not even be there; what matters is the first error.
        let _ = std::fs::remove_file(partial);
        if is_absent(session, &error) { absent("large object", key) } else { error.into() }
    })?;
    std::fs::rename(partial, file).map_err(ShellError::file(file))?;
    let sentence = format!("{bytes} bytes in {}", file.display());
    Ok(session.output.done(&sentence, &[("bytes", bytes.into())])?)
}

/// Whether it is the object that there is not, and not its namespace.
fn is_absent(session: &Session, error: &ClientError) -> bool {
    let nothing = matches!(error, ClientError::Refused { status: 404, .. });
    nothing && session.client.object_page(b"", 1, None).is_ok()
}

fn list(session: &mut Session, arguments: &ListArguments) -> Result<(), ShellError> {
    let client = session.client.clone();
    let prefix = arguments.what.as_ref().map(|prefix| prefix.0.as_slice()).unwrap_or_default();
    let pages = |items, cursor: Option<&str>| client.object_page(prefix, items, cursor);
    list_pages(
        session,
        ["key", "bytes", "checksum", "lsn"],
        arguments.limit(),
        pages,
        |table, item| {
            let checksum = Cell::Number(item.checksum.into());
            table.row([item.key.into(), item.bytes.into(), checksum, item.lsn.into()])
        },
    )
}
