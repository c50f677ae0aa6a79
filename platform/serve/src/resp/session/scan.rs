//! `SCAN`: a page of keys, and a cursor behind the last one looked at.

use unison_base::limits::SCAN_ENTRIES_MAX;
use unison_resp::parse::Command;
use unison_resp::scan::{Limits, Request, ScanError, give_page};

use super::looking::Looking;

const LIMITS: Limits = Limits { keys: SCAN_ENTRIES_MAX, key_bytes: usize::MAX };

pub(in crate::resp) fn scan(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    match page(look, command) {
        Ok((next, keys)) => give_page(look.output, next, &keys),
        Err(why) => look.output.err(why),
    }
}

fn page(look: &Looking<'_>, command: &Command<'_, '_>) -> Result<(u64, Vec<Vec<u8>>), ScanError> {
    let request = Request::of(command, LIMITS)?;
    let (name, server) = (look.namespace.name(), look.server);
    let start = match request.cursor {
        0 => None,
        number => Some(server.cursors().find(name, number).ok_or(ScanError::UnknownCursor)?),
    };
    let found = request.page(look.reader, start.as_deref())?;
    let next = found.last.map_or(0, |last| server.cursors().keep(name, last));
    Ok((next, found.keys))
}
