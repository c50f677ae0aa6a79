//! Splitting an inline command: words, `"quoted \x41 words"` and `'plain quoted words'`.

use alloc::vec::Vec;
use core::ops::Range;

use super::ProtocolError;

/// Writes the words of `line` one behind the other into `text` and their places into `words`.
pub(super) fn split(
    line: &[u8],
    text: &mut Vec<u8>,
    words: &mut Vec<Range<usize>>,
) -> Result<(), ProtocolError> {
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let start = text.len();
        rest = word(rest, text)?.trim_ascii_start();
        words.push(start..text.len());
        if words.len() > super::ARGUMENTS_MAX {
            return Err(ProtocolError::Arguments { count: words.len() as u64 });
        }
    }
    Ok(())
}

/// One word from the start of `rest`; returns what follows it.
fn word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    while let Some((first, tail)) = rest.split_first() {
        rest = match first {
            b'"' => return closed(double_quoted(tail, text)?),
            b'\'' => return closed(single_quoted(tail, text)?),
            byte if byte.is_ascii_whitespace() => return Ok(rest),
            byte => {
                text.push(*byte);
                tail
            }
        };
    }
    Ok(rest)
}

/// Behind a closing quote only white space or the end may follow.
fn closed(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest.first() {
        Some(byte) if !byte.is_ascii_whitespace() => Err(ProtocolError::Quotes),
        _ => Ok(rest),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::Quotes),
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'x', high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                let digits = (hex(*high).unwrap_or(0), hex(*low).unwrap_or(0));
                text.push(digits.0 << 4 | digits.1);
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                text.push(unescape(*escaped));
                tail
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [] => return Err(ProtocolError::Quotes),
            [b'\'', tail @ ..] => return Ok(tail),
            [b'\\', b'\'', tail @ ..] => {
                text.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}
