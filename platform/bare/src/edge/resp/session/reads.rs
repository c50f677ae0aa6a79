//! Commands that look at keys and rows, within what memory allows.

use super::super::Service;
use super::Session;
use crate::block::BlockDevice;
use alloc::format;
use alloc::vec::Vec;
use unison_base::NamespaceName;
use unison_engine::{ReadError, Reader};
use unison_ports::SegmentStore;
use unison_resp::hashes::{self, AllError, Parts};
use unison_resp::parse::Command;
use unison_resp::scan::{Limits, Request, ScanError, give_page};
use unison_resp::table::Verb;
use unison_resp::{expiry, hash_scan, reads};

/// How much one page of a scan looks at.
const SCAN_LIMITS: Limits = Limits { keys: 256, key_bytes: 64 << 10 };
/// Most keys or fields that one command names: each may cost looks into the disk, and everybody else
/// waits.
const NAMES_MAX: usize = 1_024;
/// Most fields in an answer with all of a hash.
const FIELDS_MAX: usize = 4_096;

/// Why a command is not answered.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Memory may not suffice for it.
    #[error("an answer of {bytes} bytes is more than this node's free memory; ask for less")]
    Large { bytes: usize },
    /// It names too many keys.
    #[error("a command names at most {NAMES_MAX} keys or fields on this node; ask for fewer")]
    Names,
    /// All of a hash is too much, or cannot be read.
    #[error(transparent)]
    All(#[from] AllError),
    /// A page cannot be given.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// What is asked for cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It would take too long at a time.
    #[error("this node does not look at all keys at once; use SCAN")]
    AllKeys,
    /// It belongs to a transaction.
    #[error("this node has no transactions; begin them at its hub")]
    Transactions,
}

impl Session {
    pub(super) fn read<D: BlockDevice>(
        &mut self,
        verb: Verb,
        command: &Command<'_, '_>,
        service: &mut Service<'_, '_, D>,
    ) {
        let Some(name) = self.namespace(service) else { return self.output.err("no namespace") };
        let namespace = service.view.namespaces.get(&name);
        let Some(reader) = namespace.and_then(|namespace| namespace.reader()) else {
            let why = service.view.why_closed(&name).unwrap_or_default();
            return self.output.error(&format!("LOADING namespace {name} cannot be read: {why}"));
        };
        // Without the hub's time only what the log says has expired is gone.
        let reader = reader.at(service.view.wall_ms().unwrap_or(0));
        let answered = match verb {
            _ if command.len() > NAMES_MAX + 2 => Err(Refused::Names),
            Verb::Get | Verb::GetRange | Verb::MultiGet => {
                self.values(verb, command, &reader, service)
            }
            Verb::HashGet | Verb::HashMultiGet => self.fields(verb, command, &reader, service),
            Verb::HashGetAll => self.hash(Parts::Both, command, &reader, service),
            Verb::HashKeys => self.hash(Parts::Names, command, &reader, service),
            Verb::HashValues => self.hash(Parts::Values, command, &reader, service),
            Verb::Scan => self.scan(&name, command, &reader, service),
            Verb::HashScan => self.hash_scan(&name, command, &reader, service),
            Verb::Watch => Err(Refused::Transactions),
            verb => self.small(verb, command, &reader),
        };
        if let Err(why) = answered {
            self.output.err(why);
        }
    }

    /// Commands whose answers are a few bytes.
    fn small<S: SegmentStore>(
        &mut self,
        verb: Verb,
        command: &Command<'_, '_>,
        reader: &Reader<S>,
    ) -> Result<(), Refused> {
        let output = &mut self.output;
        match verb {
            Verb::Length => reads::length(reader, command, output),
            Verb::Exists => reads::exists(reader, command, output),
            Verb::Type => reads::kind_of(reader, command, output),
            Verb::TimeToLive => expiry::time_to_live(reader, command, output),
            Verb::HashExists => hashes::exists(reader, command, output),
            Verb::HashFieldLength => hashes::field_length(reader, command, output),
            Verb::HashLength => {
                output.count(hashes::length(reader, command.argument(1))?);
                return Ok(());
            }
            Verb::DbSize => {
                output.count(reader.count()?);
                return Ok(());
            }
            _ => return Err(Refused::AllKeys),
        };
        Ok(())
    }

    fn values<S: SegmentStore, D: BlockDevice>(
        &mut self,
        verb: Verb,
        command: &Command<'_, '_>,
        reader: &Reader<S>,
        service: &Service<'_, '_, D>,
    ) -> Result<(), Refused> {
        let keys = if verb == Verb::MultiGet { command.len() } else { 2 };
        let keys: Vec<&[u8]> = command.arguments_from(1).take(keys.saturating_sub(1)).collect();
        self.check_room(reads::value_bytes(reader, &keys)?, service)?;
        let output = &mut self.output;
        match verb {
            Verb::Get => reads::get(reader, command, output),
            Verb::GetRange => reads::range(reader, command, output),
            _ => reads::multi_get(reader, command, output),
        };
        Ok(())
    }

    fn fields<S: SegmentStore, D: BlockDevice>(
        &mut self,
        verb: Verb,
        command: &Command<'_, '_>,
        reader: &Reader<S>,
        service: &Service<'_, '_, D>,
    ) -> Result<(), Refused> {
        self.check_room(hashes::value_bytes(reader, command)?, service)?;
        match verb {
            Verb::HashGet => hashes::get(reader, command, &mut self.output),
            _ => hashes::multi_get(reader, command, &mut self.output),
        };
        Ok(())
    }

    fn hash<S: SegmentStore, D: BlockDevice>(
        &mut self,
        parts: Parts,
        command: &Command<'_, '_>,
        reader: &Reader<S>,
        service: &Service<'_, '_, D>,
    ) -> Result<(), Refused> {
        let bytes = self.room(service);
        let limits = hashes::Limits { fields: FIELDS_MAX, bytes };
        Ok(hashes::all(reader, command.argument(1), parts, limits, &mut self.output)?)
    }

    fn scan<S: SegmentStore, D: BlockDevice>(
        &mut self,
        name: &NamespaceName,
        command: &Command<'_, '_>,
        reader: &Reader<S>,
        service: &mut Service<'_, '_, D>,
    ) -> Result<(), Refused> {
        let request = Request::of(command, SCAN_LIMITS)?;
        let start = place(name, request.cursor, service)?;
        let page = request.page(reader, start.as_deref())?;
        let next = page.last.map_or(0, |last| service.cursors.keep(name, last));
        give_page(&mut self.output, next, &page.keys);
        Ok(())
    }

    fn hash_scan<S: SegmentStore, D: BlockDevice>(
        &mut self,
        name: &NamespaceName,
        command: &Command<'_, '_>,
        reader: &Reader<S>,
        service: &mut Service<'_, '_, D>,
    ) -> Result<(), Refused> {
        let Limits { keys, key_bytes } = SCAN_LIMITS;
        let request = hash_scan::Request::of(command, keys, key_bytes)?;
        let start = place(name, request.cursor, service)?;
        let mut page = request.page(reader, start.as_deref())?;
        self.check_room(page.bytes(), service)?;
        let next = page.last.take().map_or(0, |last| service.cursors.keep(name, last));
        request.give(&page, next, &mut self.output);
        Ok(())
    }

    /// Bytes that one answer may have now.
    fn room<D: BlockDevice>(&self, service: &Service<'_, '_, D>) -> usize {
        service.view.heap.answer_room().saturating_sub(self.output.bytes().len())
    }

    fn check_room<D: BlockDevice>(
        &self,
        bytes: usize,
        service: &Service<'_, '_, D>,
    ) -> Result<(), Refused> {
        if bytes > self.room(service) { Err(Refused::Large { bytes }) } else { Ok(()) }
    }
}

/// Where a scan goes on.
fn place<D: BlockDevice>(
    name: &NamespaceName,
    cursor: u64,
    service: &Service<'_, '_, D>,
) -> Result<Option<Vec<u8>>, ScanError> {
    match cursor {
        0 => Ok(None),
        number => service.cursors.find(name, number).map(Some).ok_or(ScanError::UnknownCursor),
    }
}
