//! `import`: files or lines into a namespace, in atomic batches.

use super::{Place, SkipReason, Skipped, TransferError, bar, jsonl, walk};
use crate::client::{Client, ClientError, Entry};
use clap::Args;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;
use unison_base::limits::{KEY_MAX, VALUE_MAX};
use unison_serve::process::print_line;

/// How long an import waits for a node that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
const BATCH_BYTES: usize = 512 << 10;
/// The HTTP status of a batch or a value that does not fit.
const TOO_LARGE: u16 = 413;
const BATCH_ENTRIES: usize = 1_000;

/// Arguments of `import`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImportArguments {
    #[command(flatten)]
    place: Place,
    /// The node to write to
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    to: String,
    /// The namespace to write to
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Put this before every key
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Imported {
    /// Entries acknowledged.
    pub(crate) entries: u64,
    /// Bytes of their values.
    pub(crate) bytes: u64,
    /// LSN of the last batch.
    pub(crate) last_lsn: u64,
    /// What was left out.
    pub(super) skipped: Vec<Skipped>,
}

/// Gathers entries into batches and sends each when it is full.
pub(crate) struct Batcher<'a> {
    client: &'a Client,
    entries: Vec<Entry>,
    bytes: usize,
    done: Imported,
}

impl<'a> Batcher<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client, entries: Vec::new(), bytes: 0, done: Imported::default() }
    }

    /// Takes one entry that lives for ever; what cannot be stored is skipped and named at the end.
    pub(crate) fn push(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), TransferError> {
        self.push_entry(Entry { key, value, expires: None })
    }

    fn push_entry(&mut self, entry: Entry) -> Result<(), TransferError> {
        let Entry { key, value, .. } = &entry;
        if key.is_empty() || key.len() > KEY_MAX || value.len() > VALUE_MAX {
            self.skip(key, SkipReason::Limits);
            return Ok(());
        }
        let bytes = key.len() + value.len();
        if self.entries.len() >= BATCH_ENTRIES || self.bytes + bytes > BATCH_BYTES {
            self.send()?;
        }
        self.bytes += bytes;
        self.entries.push(entry);
        Ok(())
    }

    /// Notes a key that is not sent.
    fn skip(&mut self, key: &[u8], reason: SkipReason) {
        let name = String::from_utf8_lossy(key).into_owned();
        self.done.skipped.push(Skipped { name, reason });
    }

    fn send(&mut self) -> Result<(), TransferError> {
        self.bytes = 0;
        let mut entries = std::mem::take(&mut self.entries);
        // A batch has one time; of a key that is there twice the later line still comes later.
        if entries.iter().any(|entry| entry.expires.is_some()) {
            let last: std::collections::HashMap<Vec<u8>, usize> =
                entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
            let mut at = 0..;
            entries.retain(|entry| at.next() == last.get(&entry.key).copied());
            entries.sort_by_key(|entry| entry.expires);
        }
        entries
            .chunk_by(|one, next| one.expires == next.expires)
            .try_for_each(|part| self.put(part))
    }

    /// Puts entries in one batch, or in halves where the node takes only smaller ones: how much fits
    /// depends on its settings.
    fn put(&mut self, entries: &[Entry]) -> Result<(), TransferError> {
        let expires = entries.first().and_then(|entry| entry.expires);
        match (self.client.put_batch(entries, expires), entries) {
            (Ok(lsn), _) => {
                self.done.last_lsn = lsn;
                self.done.entries += entries.len() as u64;
                self.done.bytes +=
                    entries.iter().map(|entry| entry.value.len() as u64).sum::<u64>();
            }
            (Err(ClientError::Refused { status: TOO_LARGE, message }), [entry]) => {
                self.skip(&entry.key, SkipReason::Refused { message });
            }
            (Err(ClientError::Refused { status: TOO_LARGE, .. }), _) => {
                let (first, second) = entries.split_at(entries.len() / 2);
                self.put(first)?;
                self.put(second)?;
            }
            (Err(error), _) => return Err(error.into()),
        }
        Ok(())
    }

    /// Sends what is left.
    pub(crate) fn finish(mut self) -> Result<Imported, TransferError> {
        self.send()?;
        Ok(self.done)
    }
}

/// Runs the command.
pub(crate) fn import(arguments: &ImportArguments) -> Result<(), TransferError> {
    let client = Client::new(&arguments.to, &arguments.namespace, PATIENCE);
    let done = match (&arguments.place.dir, &arguments.place.jsonl) {
        (Some(dir), _) => import_directory(&client, dir, &arguments.prefix)?,
        (None, Some(file)) => import_lines(&client, file, &arguments.prefix)?,
        (None, None) => Imported::default(),
    };
    for skipped in &done.skipped {
        eprintln!("skipped {skipped}");
    }
    print_line(format_args!(
        "{} keys, {} bytes, acknowledged up to LSN {}; {} skipped",
        done.entries,
        done.bytes,
        done.last_lsn,
        done.skipped.len()
    ));
    Ok(())
}

fn import_directory(client: &Client, dir: &Path, prefix: &str) -> Result<Imported, TransferError> {
    let tree = walk(dir)?;
    let bar = bar("importing", tree.files.iter().map(|file| file.bytes).sum());
    let mut batcher = Batcher::new(client);
    batcher.done.skipped = tree.left_out;
    for file in tree.files {
        bar.inc(file.bytes);
        let key = format!("{prefix}{}", file.key);
        if file.bytes > VALUE_MAX as u64 {
            batcher.skip(key.as_bytes(), SkipReason::Limits);
            continue;
        }
        let value = std::fs::read(&file.path).map_err(TransferError::file(&file.path))?;
        batcher.push(key.into_bytes(), value)?;
    }
    bar.finish_and_clear();
    batcher.finish()
}

fn import_lines(client: &Client, path: &Path, prefix: &str) -> Result<Imported, TransferError> {
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(TransferError::file(path))?)
    };
    let total = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = bar("importing", total);
    let mut batcher = Batcher::new(client);
    for (index, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.map_err(TransferError::file(path))?;
        bar.inc(line.len() as u64 + 1);
        if line.trim().is_empty() {
            continue;
        }
        let entry = jsonl::parse(&line).map_err(|source| TransferError::Line {
            path: path.to_owned(),
            line: index + 1,
            source,
        })?;
        let key = [prefix.as_bytes(), &entry.key].concat();
        batcher.push_entry(Entry { key, ..entry })?;
    }
    bar.finish_and_clear();
    batcher.finish()
}
