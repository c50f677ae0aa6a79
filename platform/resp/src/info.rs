//! `INFO`: sections of lines, all of them or the ones that are named.

use crate::parse::Command;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use unison_engine::Expiring;

/// The text of an `INFO` while it is put together.
#[derive(Clone, Debug)]
pub struct Info {
    named: Vec<String>,
    text: String,
}

impl Info {
    /// The sections that a command asks for, none of them written yet.
    #[must_use]
    pub fn asked(command: &Command<'_, '_>) -> Self {
        let lower = |name| String::from_utf8_lossy(name).to_ascii_lowercase();
        Self { named: command.arguments_from(1).map(lower).collect(), text: String::new() }
    }

    fn wants(&self, name: &str) -> bool {
        let everything = ["all", "default", "everything"];
        let means = |named: &String| named == name || everything.contains(&named.as_str());
        self.named.is_empty() || self.named.iter().any(means)
    }

    /// Adds a section when it is asked for. `name` is in small letters.
    pub fn section(&mut self, name: &str, lines: impl FnOnce() -> String) {
        if !self.wants(name) {
            return;
        }
        if !self.text.is_empty() {
            self.text += "\r\n";
        }
        let (first, rest) = name.split_at_checked(1).unwrap_or((name, ""));
        // A string takes everything that is written to it.
        let _ = write!(self.text, "# {}{rest}\r\n{}", first.to_uppercase(), lines());
    }

    /// What was put together.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Lines of names and values.
#[must_use]
pub fn lines<const N: usize>(fields: [(&str, String); N]) -> String {
    fields.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{name}:{value}\r\n");
        text
    })
}

/// The line of a database that has keys. Without what is known of those that expire, because they are
/// too many to count, it says nothing about them.
#[must_use]
pub fn database(number: u32, keys: u64, expiring: Option<Expiring>) -> String {
    let expiring = expiring.map_or_else(String::new, |Expiring { keys, average_ms }| {
        format!(",expires={keys},avg_ttl={average_ms}")
    });
    format!("db{number}:keys={keys}{expiring}\r\n")
}

#[cfg(test)]
mod tests {
    use super::{Expiring, Info, database, lines};
    use crate::parse::Parser;
    use alloc::string::{String, ToString};

    fn asked(request: &[u8]) -> String {
        let mut parser = Parser::default();
        parser.parse(request).unwrap().unwrap();
        let mut info = Info::asked(&parser.inline_command().unwrap());
        info.section("server", || lines([("a", 1.to_string()), ("b", 2.to_string())]));
        info.section("clients", || lines([("c", 3.to_string())]));
        info.into_text()
    }

    #[test]
    fn sections_that_are_named_or_all() {
        let all = "# Server\r\na:1\r\nb:2\r\n\r\n# Clients\r\nc:3\r\n";
        assert_eq!(asked(b"INFO\n"), all);
        assert_eq!(asked(b"INFO clients everything\n"), all);
        assert_eq!(asked(b"INFO CLIENTS nothing\n"), "# Clients\r\nc:3\r\n");
        assert_eq!(asked(b"INFO nothing\n"), "");
    }

    #[test]
    fn what_expires_is_said_where_it_is_known() {
        let expiring = Expiring { keys: 2, average_ms: 1_500 };
        assert_eq!(database(0, 3, Some(expiring)), "db0:keys=3,expires=2,avg_ttl=1500\r\n");
        assert_eq!(database(7, 3, None), "db7:keys=3\r\n");
    }
}
