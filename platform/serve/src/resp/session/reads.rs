//! Commands that look at values.

use unison_linux::store::ValueRef;

use super::{Session, give_value};
use crate::resp::parse::{Command, number};

const NOT_A_NUMBER: &str = "value is not an integer or out of range";

pub(in crate::resp) fn get(session: &mut Session, command: &Command<'_, '_>) {
    let value = look_up(session, command.argument(1));
    match value {
        Ok(Some(value)) => give_value(&value, &mut session.output),
        Ok(None) => session.output.null(),
        Err(()) => {}
    }
}

/// The value of a key; an error is answered already.
fn look_up(session: &mut Session, key: &[u8]) -> Result<Option<ValueRef>, ()> {
    let metrics = &session.server.node.metrics;
    let found = session.namespace.reader().get(key);
    match &found {
        Ok(Some(_)) => metrics.hits.inc(),
        Ok(None) => metrics.misses.inc(),
        Err(error) => {
            session.output.err(error);
            return Err(());
        }
    };
    found.map_err(|_| ())
}

pub(in crate::resp) fn mget(session: &mut Session, command: &Command<'_, '_>) {
    let Some(values) = look_up_all(session, command) else { return };
    session.output.array(values.len());
    for value in values {
        match value {
            Some(value) => give_value(&value, &mut session.output),
            None => session.output.null(),
        }
    }
}

pub(in crate::resp) fn exists(session: &mut Session, command: &Command<'_, '_>) {
    let Some(values) = look_up_all(session, command) else { return };
    session.output.count(values.iter().flatten().count() as u64);
}

/// The values of all keys named, at one moment; an error is answered already.
fn look_up_all(session: &mut Session, command: &Command<'_, '_>) -> Option<Vec<Option<ValueRef>>> {
    let keys: Vec<&[u8]> = command.arguments_from(1).collect();
    match session.namespace.reader().multi_get(&keys) {
        Ok(values) => {
            let found = values.iter().flatten().count() as u64;
            session.server.node.metrics.hits.inc_by(found);
            session.server.node.metrics.misses.inc_by(values.len() as u64 - found);
            Some(values)
        }
        Err(error) => {
            session.output.err(error);
            None
        }
    }
}

pub(in crate::resp) fn strlen(session: &mut Session, command: &Command<'_, '_>) {
    if let Ok(value) = look_up(session, command.argument(1)) {
        let length = value.map_or(0, |value| value.len());
        session.output.count(length as u64);
    }
}

pub(in crate::resp) fn kind_of(session: &mut Session, command: &Command<'_, '_>) {
    if let Ok(value) = look_up(session, command.argument(1)) {
        session.output.simple(if value.is_some() { "string" } else { "none" });
    }
}

pub(in crate::resp) fn ttl(session: &mut Session, command: &Command<'_, '_>) {
    if let Ok(value) = look_up(session, command.argument(1)) {
        session.output.integer(if value.is_some() { -1 } else { -2 });
    }
}

pub(in crate::resp) fn persist(session: &mut Session, _: &Command<'_, '_>) {
    session.output.integer(0);
}

pub(in crate::resp) fn getrange(session: &mut Session, command: &Command<'_, '_>) {
    let bounds = (number(command.argument(2)), number(command.argument(3)));
    let (Some(start), Some(end)) = bounds else {
        return session.output.err(NOT_A_NUMBER);
    };
    let Ok(value) = look_up(session, command.argument(1)) else { return };
    match value.map(|value| value.bytes()).transpose() {
        Ok(bytes) => {
            let bytes = bytes.as_deref().unwrap_or_default();
            session.output.bulk(part(bytes, start, end));
        }
        Err(error) => session.output.err(error),
    }
}

/// The bytes from `start` to `end`, both included; negative ones count from behind.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let place = |index: i64| if index < 0 { index.saturating_add(length).max(0) } else { index };
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let (start, end) = (place(start), place(end).min(length - 1));
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| bytes.get(start..=end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_as_redis_cuts_them() {
        let bytes = b"This is a string";
        for (start, end, expected) in [
            (0, 3, "This"),
            (-3, -1, "ing"),
            (0, -1, "This is a string"),
            (10, 100, "string"),
            (5, 3, ""),
            (-1, -5, ""),
            (100, 200, ""),
            (-100, 2, "Thi"),
            (i64::MIN, i64::MAX, "This is a string"),
            (0, -100, "T"),
        ] {
            assert_eq!(part(bytes, start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(part(b"", 0, -1), b"");
    }
}
