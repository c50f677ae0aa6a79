//! What a request names: its path, and the values of its query. Keys are bytes.

use super::refused::Refused;
use alloc::string::String;
use alloc::vec::Vec;

/// Where the API begins.
pub(super) const PREFIX: &str = "/api/v1/";

/// Names and values in the order given.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=x%20y+z`; a name that is not `known` is refused, since leaving it out would answer
    /// another question than the one asked.
    pub(super) fn parse(text: &str, known: &'static [&'static str]) -> Result<Self, Refused> {
        let mut query = Self(Vec::new());
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if !known.contains(&name.as_str()) {
                return Err(Refused::Query { known });
            }
            query.0.push((name, value));
        }
        Ok(query)
    }

    /// The last value of a name; none when it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(known, _)| known == name);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

fn decoded(text: &str) -> Result<String, Refused> {
    let bytes = percent_decoded(&text.replace('+', " "))?;
    String::from_utf8(bytes).map_err(|_| Refused::Text)
}

/// Bytes with every `%41` replaced.
pub(super) fn percent_decoded(text: &str) -> Result<Vec<u8>, Refused> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = if *first == b'%' {
            let (digits, behind) = tail.split_at_checked(2).ok_or(Refused::Escape)?;
            decoded.push(byte_of(digits).ok_or(Refused::Escape)?);
            behind
        } else {
            decoded.push(*first);
            tail
        };
    }
    Ok(decoded)
}

/// The byte of two hexadecimal digits.
fn byte_of(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}
