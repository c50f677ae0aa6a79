//! From the bytes of a UART to lines.
//!
//! Frames are rzCOBS and end in a zero byte; each holds the index of a format string, a timestamp, and
//! the arguments.

use crate::table::{Format, Table};
use defmt_parser::{DisplayHint, Fragment, ParserMode, TimePrecision, Type};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

/// Formats within formats.
const DEPTH_MAX: usize = 8;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) timestamp: String,
    pub(crate) level: &'static str,
    pub(crate) text: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10} {:5} {}", self.timestamp, self.level, self.text)
    }
}

/// Messages of a stream of bytes; an iterator over those that are complete.
#[derive(Debug)]
pub(crate) struct Stream<T> {
    table: T,
    bytes: Vec<u8>,
}

impl<T: Borrow<Table>> Stream<T> {
    pub(crate) const fn new(table: T) -> Self {
        Self { table, bytes: Vec::new() }
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

impl<T: Borrow<Table>> Iterator for Stream<T> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let end = self.bytes.iter().position(|&byte| byte == 0)?;
            let frame: Vec<_> = self.bytes.drain(..=end).take(end).collect();
            if frame.is_empty() {
                continue;
            }
            return Some(entry(self.table.borrow(), &frame));
        }
    }
}

/// A frame that is not understood is shown, not hidden: it may have been cut by a kill.
fn entry(table: &Table, frame: &[u8]) -> Entry {
    let decoded = unpack(frame).and_then(|bytes| message(table, &bytes));
    decoded.unwrap_or_else(|| Entry {
        timestamp: String::new(),
        level: "?",
        text: format!("{} bytes that are no message", frame.len()),
    })
}

/// Undoes rzCOBS, which is read from its end.
fn unpack(frame: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = frame.iter().rev().copied();
    while let Some(code) = rest.next() {
        match code {
            0 => return None,
            0x01..=0x7f => {
                for bit in (0..7).rev() {
                    bytes.push(if code & (1 << bit) == 0 { rest.next()? } else { 0 });
                }
            }
            0x80..=0xfe => {
                bytes.push(0);
                for _ in 0..(code & 0x7f) + 7 {
                    bytes.push(rest.next()?);
                }
            }
            0xff => {
                for _ in 0..134 {
                    bytes.push(rest.next()?);
                }
            }
        }
    }
    bytes.reverse();
    Some(bytes)
}

fn message(table: &Table, bytes: &[u8]) -> Option<Entry> {
    let mut reader = Reader { table, bytes };
    let index = u16::from_le_bytes(reader.take()?);
    let timestamp = match &table.timestamp {
        Some(format) => reader.format(format, 0)?,
        None => String::new(),
    };
    let Format { level, text } = table.formats.get(&index)?;
    let text = reader.format(text, 0)?;
    Some(Entry { timestamp, level: (*level)?, text })
}

struct Reader<'a> {
    table: &'a Table,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn interned(&mut self) -> Option<&'a str> {
        let index = u16::from_le_bytes(self.take()?);
        Some(&self.table.formats.get(&index)?.text)
    }

    /// A format with its arguments, which come once each, in order of their numbers.
    fn format(&mut self, format: &str, depth: usize) -> Option<String> {
        if depth > DEPTH_MAX {
            return None;
        }
        let fragments = defmt_parser::parse(format, ParserMode::ForwardsCompatible).ok()?;
        let mut types = BTreeMap::new();
        for fragment in &fragments {
            if let Fragment::Parameter(parameter) = fragment {
                types.entry(parameter.index).or_insert(parameter);
            }
        }
        let mut values = BTreeMap::new();
        for (index, parameter) in types {
            values.insert(index, self.value(&parameter.ty, parameter.hint.as_ref(), depth)?);
        }
        let texts = fragments.iter().map(|fragment| match fragment {
            Fragment::Literal(text) => Some(text.as_ref()),
            Fragment::Parameter(parameter) => values.get(&parameter.index).map(String::as_str),
        });
        texts.collect()
    }

    fn value(&mut self, ty: &Type, hint: Option<&DisplayHint>, depth: usize) -> Option<String> {
        let number = match ty {
            Type::U8 => u64::from(u8::from_le_bytes(self.take()?)),
            Type::U16 => u64::from(u16::from_le_bytes(self.take()?)),
            Type::U32 | Type::Usize => u64::from(u32::from_le_bytes(self.take()?)),
            Type::U64 => u64::from_le_bytes(self.take()?),
            Type::I8 => return Some(i8::from_le_bytes(self.take()?).to_string()),
            Type::I16 => return Some(i16::from_le_bytes(self.take()?).to_string()),
            Type::I32 | Type::Isize => return Some(i32::from_le_bytes(self.take()?).to_string()),
            Type::I64 => return Some(i64::from_le_bytes(self.take()?).to_string()),
            _ => return self.text(ty, depth),
        };
        Some(shown(number, hint))
    }

    fn text(&mut self, ty: &Type, depth: usize) -> Option<String> {
        match ty {
            Type::Bool => Some((self.take::<1>()? == [1]).to_string()),
            Type::Char => Some(char::from_u32(u32::from_le_bytes(self.take()?))?.to_string()),
            Type::Str => {
                let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
                Some(String::from_utf8_lossy(self.slice(length)?).into_owned())
            }
            Type::U8Slice => {
                let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
                Some(format!("{:?}", self.slice(length)?))
            }
            Type::U8Array(length) => Some(format!("{:?}", self.slice(*length)?)),
            Type::IStr => self.interned().map(str::to_owned),
            // Text that the firmware made, up to a byte that no text has.
            Type::Debug | Type::Display => {
                let length = self.bytes.iter().position(|&byte| byte == 0xff)?;
                let text = String::from_utf8_lossy(self.slice(length)?).into_owned();
                self.slice(1)?;
                Some(text)
            }
            Type::Format => {
                let format = self.interned()?;
                let variant = self.variant(format)?;
                self.format(variant, depth + 1)
            }
            // Nothing else is logged by our firmware.
            _ => None,
        }
    }

    /// The one of an enum's formats that is meant.
    fn variant(&mut self, format: &'a str) -> Option<&'a str> {
        if !format.contains('|') {
            return Some(format);
        }
        let [discriminant] = self.take()?;
        format.split('|').nth(discriminant.into())
    }
}

fn shown(number: u64, hint: Option<&DisplayHint>) -> String {
    match hint {
        Some(DisplayHint::Seconds(TimePrecision::Millis)) => {
            format!("{}.{:03}", number / 1_000, number % 1_000)
        }
        Some(DisplayHint::Seconds(TimePrecision::Micros)) => {
            format!("{}.{:06}", number / 1_000_000, number % 1_000_000)
        }
        Some(DisplayHint::Hexadecimal { .. }) => format!("{number:#x}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests;
