//! Commands that look at values.

use unison_engine::{ReadError, ScanRequest};
use unison_linux::store::Reader;
use unison_resp::expiry::time_to_live;
use unison_resp::glob;
use unison_resp::parse::Command;
use unison_resp::reads;

use super::looking::Looking;

/// Most keys, and bytes of keys, in an answer to `KEYS`.
const KEYS_MAX: usize = 100_000;
const KEYS_BYTES_MAX: usize = 16 << 20;

pub(in crate::resp) fn get(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = reads::get(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn mget(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = reads::multi_get(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn exists(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = reads::exists(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn strlen(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = reads::length(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn kind_of(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = reads::kind_of(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn ttl(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = time_to_live(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn getrange(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = reads::range(look.reader, command, look.output);
    look.count(looked);
}

/// `DBSIZE`.
pub(in crate::resp) fn count(look: &mut Looking<'_>, _: &Command<'_, '_>) {
    match look.reader.count() {
        Ok(keys) => look.output.count(keys),
        Err(error) => look.output.err(error),
    }
}

/// `KEYS`.
pub(in crate::resp) fn keys(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    match matching(look.reader, command.argument(1)) {
        Ok(Some(keys)) => {
            look.output.array(keys.len());
            keys.iter().for_each(|key| look.output.bulk(key));
        }
        Ok(None) => look.output.err(format_args!(
            "more than the limit of {KEYS_MAX} keys or {KEYS_BYTES_MAX} bytes match; use SCAN"
        )),
        Err(error) => look.output.err(error),
    }
}

/// All keys that match, or `None` when they are too many for one answer.
fn matching(reader: &Reader, pattern: &[u8]) -> Result<Option<Vec<Vec<u8>>>, ReadError> {
    let prefix = glob::prefix(pattern);
    let (mut keys, mut bytes) = (Vec::new(), 0);
    for item in reader.snapshot().scan(ScanRequest { prefix, ..ScanRequest::default() })? {
        let key = item?.key;
        if glob::matches(pattern, &key) {
            bytes += key.len();
            keys.push(key);
        }
        if keys.len() > KEYS_MAX || bytes > KEYS_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(keys))
}
