//! Commands that look at values.

use unison_engine::{ReadError, ScanRequest};
use unison_linux::store::Reader;
use unison_resp::expiry::time_to_live;
use unison_resp::glob;
use unison_resp::parse::Command;
use unison_resp::reads;

use super::looking::{Looking, Time};

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
    match look.reader.count_while(&mut || look.time.goes_on()) {
        Ok(keys) => look.output.count(keys.unwrap_or_default()),
        Err(error) => look.output.err(error),
    }
}

/// `KEYS`.
pub(in crate::resp) fn keys(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    match matching(look.reader, command.argument(1), &mut look.time) {
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

/// All keys that match, or `None` when they are too many for one answer; not all when the time is over.
fn matching(
    reader: &Reader,
    pattern: &[u8],
    time: &mut Time,
) -> Result<Option<Vec<Vec<u8>>>, ReadError> {
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
        if !time.goes_on() {
            break;
        }
    }
    Ok(Some(keys))
}

#[cfg(test)]
mod tests {
    use super::{Time, matching};
    use std::time::Instant;
    use unison_engine::{EngineOptions, Write};
    use unison_linux::store::{Durability, Store, StoreOptions};

    #[test]
    fn looks_at_many_keys_end_when_their_time_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions {
            data_dir: directory.path().to_owned(),
            durability: Durability::Never,
            engine: EngineOptions::default(),
            tree_cache_bytes: 1 << 20,
            doubt_trees: false,
        });
        let store = store.unwrap();
        let namespace = store.create(&unison_base::NamespaceName::new("default").unwrap()).unwrap();
        let keys: Vec<[u8; 4]> = (0_u32..1_000).map(u32::to_be_bytes).collect();
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_slice(), b"value".as_slice())).collect();
        let batch = unison_engine::Operation::PutBatch(&pairs);
        namespace.write(&Write::new(batch)).unwrap();
        let reader = namespace.reader();
        let mut time = Time::until(Instant::now());
        let found = matching(&reader, b"*", &mut time).unwrap().unwrap();
        assert!(time.is_over && found.len() < keys.len());
        let mut time = Time::until(Instant::now());
        assert_eq!(reader.count_while(&mut || time.goes_on()).unwrap(), None);
        let mut time = Time::default();
        assert_eq!(matching(&reader, b"*", &mut time).unwrap().unwrap().len(), keys.len());
        assert_eq!(reader.count_while(&mut || time.goes_on()).unwrap(), Some(1_000));
        assert!(!time.is_over);
        store.close().unwrap();
    }
}
