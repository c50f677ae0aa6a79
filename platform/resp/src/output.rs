//! The reply side: RESP2 or RESP3, appended to one buffer per connection.

use alloc::format;
use alloc::vec::Vec;
use core::fmt::Display;

/// Which protocol a connection speaks; `HELLO 3` changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2.
    #[default]
    Two,
    /// RESP3: its own null, map and verbatim types.
    Three,
}

/// Replies that wait to be written.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    errors: u64,
    /// What the connection speaks.
    pub protocol: Protocol,
}

impl Output {
    /// What is to be written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the buffer after a write; gives memory beyond `keep_bytes` back.
    pub fn written(&mut self, keep_bytes: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep_bytes);
    }

    /// Cuts off what was appended after the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Errors appended since this was last asked.
    pub fn take_errors(&mut self) -> u64 {
        core::mem::take(&mut self.errors)
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string: text of our own without line ends.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error. `text` begins with its code, as in `ERR no such thing`.
    pub fn error(&mut self, text: &str) {
        self.errors += 1;
        self.line(b'-', text);
    }

    /// `-ERR` and what happened.
    pub fn err(&mut self, what: impl Display) {
        self.error(&format!("ERR {what}"));
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A count of things in memory.
    pub fn count(&mut self, value: u64) {
        self.integer(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A bulk string.
    pub fn bulk(&mut self, value: &[u8]) {
        self.bytes.reserve(value.len() + 16);
        self.length(b'$', value.len());
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Text for people: a verbatim string where the protocol has one.
    pub fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Two => self.bulk(text.as_bytes()),
            Protocol::Three => {
                self.length(b'=', text.len() + 4);
                self.bytes.extend_from_slice(b"txt:");
                self.bytes.extend_from_slice(text.as_bytes());
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
    }

    /// No value.
    pub fn null(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Two => b"$-1\r\n",
            Protocol::Three => b"_\r\n",
        });
    }

    /// No array.
    pub fn null_array(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Two => b"*-1\r\n",
            Protocol::Three => b"_\r\n",
        });
    }

    /// Head of an array; its elements follow.
    pub fn array(&mut self, elements: usize) {
        self.length(b'*', elements);
    }

    /// Head of a map; its keys and values follow by turns. An array of both in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Two => self.length(b'*', pairs * 2),
            Protocol::Three => self.length(b'%', pairs),
        }
    }

    /// Head of a message that answers nothing; its elements follow. An array in RESP2.
    pub fn push(&mut self, elements: usize) {
        match self.protocol {
            Protocol::Two => self.length(b'*', elements),
            Protocol::Three => self.length(b'>', elements),
        }
    }

    fn length(&mut self, kind: u8, length: usize) {
        self.header(kind, i64::try_from(length).unwrap_or(i64::MAX));
    }

    fn header(&mut self, kind: u8, number: i64) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A line end within the text would begin another reply.
    fn line(&mut self, kind: u8, text: &str) {
        self.bytes.push(kind);
        let printable = |byte: u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
        self.bytes.extend(text.bytes().map(printable));
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::{Output, Protocol};
    use alloc::string::String;

    fn written(protocol: Protocol, fill: impl FnOnce(&mut Output)) -> String {
        let mut output = Output { protocol, ..Output::default() };
        fill(&mut output);
        String::from_utf8(output.bytes().to_vec()).unwrap()
    }

    #[test]
    fn each_type_in_both_protocols() {
        let all = |output: &mut Output| {
            output.ok();
            output.integer(i64::MIN);
            output.bulk(b"a\r\nb");
            output.null();
            output.null_array();
            output.map(1);
            output.push(1);
            output.array(0);
            output.verbatim("x");
        };
        let two = "+OK\r\n:-9223372036854775808\r\n$4\r\na\r\nb\r\n$-1\r\n*-1\r\n*2\r\n*1\r\n*0\r\n$1\r\nx\r\n";
        let three = "+OK\r\n:-9223372036854775808\r\n$4\r\na\r\nb\r\n_\r\n_\r\n%1\r\n>1\r\n*0\r\n=5\r\ntxt:x\r\n";
        assert_eq!(written(Protocol::Two, all), two);
        assert_eq!(written(Protocol::Three, all), three);
    }

    #[test]
    fn a_line_end_in_an_error_cannot_begin_another_reply() {
        assert_eq!(written(Protocol::Two, |out| out.err("a\r\n+OK")), "-ERR a  +OK\r\n");
    }
}
