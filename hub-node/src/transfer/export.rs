//! `export`: a namespace into files or lines.

use super::{Place, TransferError, directory, jsonl};
use crate::client::Client;
use clap::Args;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `export`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    place: Place,
    /// The node to read from: a hub or an edge
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    from: String,
    /// The namespace to read
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
}

/// Runs the command.
pub(crate) fn export(arguments: &ExportArguments) -> Result<(), TransferError> {
    let client = Client::new(&arguments.from, &arguments.namespace, PATIENCE);
    let count = match (&arguments.place.dir, &arguments.place.jsonl) {
        (Some(dir), _) => export_directory(&client, dir, &arguments.prefix)?,
        (None, Some(file)) => export_lines(&client, file, &arguments.prefix)?,
        (None, None) => 0,
    };
    eprintln!("{count} keys exported");
    Ok(())
}

fn export_directory(client: &Client, dir: &Path, prefix: &str) -> Result<u64, TransferError> {
    let target = directory::Target::new(dir);
    let mut count = 0;
    for entry in client.entries(prefix) {
        let entry = entry?;
        target.write(&entry.key, &entry.value)?;
        count += 1;
    }
    Ok(count)
}

fn export_lines(client: &Client, path: &Path, prefix: &str) -> Result<u64, TransferError> {
    let target: Box<dyn Write> = if path == Path::new("-") {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(File::create(path).map_err(TransferError::file(path))?)
    };
    let mut target = BufWriter::new(target);
    let mut count: u64 = 0;
    for entry in client.entries(prefix) {
        let line = jsonl::format(entry?).map_err(|source| TransferError::Line {
            path: path.to_owned(),
            line: usize::try_from(count).unwrap_or(usize::MAX),
            source,
        })?;
        writeln!(target, "{line}").map_err(TransferError::file(path))?;
        count += 1;
    }
    target.flush().map_err(TransferError::file(path))?;
    Ok(count)
}
