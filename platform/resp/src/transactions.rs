//! What `MULTI` keeps until `EXEC`, and what `WATCH` remembers.
//!
//! A transaction's replies, and what it writes, are bounded by what it keeps, so all of this has limits.

use crate::parse::{Command, KeptCommand};
use crate::table::Spec;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use unison_base::Lsn;
use unison_engine::{ReadError, Reader};
use unison_ports::SegmentStore;

/// Most commands of a transaction.
pub const QUEUED_COMMANDS_MAX: usize = 10_000;
/// Most bytes of their arguments.
pub const QUEUED_BYTES_MAX: usize = 8 << 20;
/// Most arguments of all of them: one takes memory however short it is.
pub const QUEUED_ARGUMENTS_MAX: usize = 250_000;
/// Most keys that one connection watches.
pub const WATCHED_KEYS_MAX: usize = 10_000;
/// Most bytes of them.
pub const WATCHED_BYTES_MAX: usize = 1 << 20;

/// What an `EXEC` is answered after a command was refused while it was queued, with its code.
pub const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";
/// What a `MULTI` within a `MULTI` is answered.
pub const NESTED: &str = "MULTI calls can not be nested";
/// What a `WATCH` within a `MULTI` is answered.
pub const WATCH_INSIDE: &str = "WATCH inside MULTI is not allowed";

/// Why a command is not queued, or a key not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// It cannot be a part of a transaction.
    #[error("'{command}' is not allowed inside a transaction")]
    NotAllowed {
        /// Its name.
        command: &'static str,
    },
    /// The transaction has as many commands as it may have.
    #[error("a transaction has at most {QUEUED_COMMANDS_MAX} commands; send it in parts")]
    Commands,
    /// The transaction would have more arguments than it may have.
    #[error("a transaction has at most {QUEUED_ARGUMENTS_MAX} arguments; send it in parts")]
    Arguments,
    /// The transaction would have more bytes than it may have.
    #[error("a transaction has at most {limit} bytes of arguments; send it in parts")]
    Bytes {
        /// Most bytes.
        limit: usize,
    },
    /// There are as many watched keys as there may be.
    #[error("at most {WATCHED_KEYS_MAX} keys of {WATCHED_BYTES_MAX} bytes are watched at a time")]
    Watched,
}

/// A command that waits for `EXEC`.
#[derive(Clone, Debug)]
pub struct Queued {
    /// What it is.
    pub spec: &'static Spec,
    /// Its words.
    pub command: KeptCommand,
}

/// Commands between `MULTI` and `EXEC`.
#[derive(Clone, Debug)]
pub struct Queue {
    commands: Vec<Queued>,
    arguments: usize,
    bytes: usize,
    bytes_max: usize,
    is_refused: bool,
}

impl Queue {
    /// An empty one, of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(QUEUED_BYTES_MAX);
        Self { commands: Vec::new(), arguments: 0, bytes: 0, bytes_max, is_refused: false }
    }

    /// Adds a command; one that comes behind a refusal is not kept.
    ///
    /// # Errors
    /// It cannot be added.
    pub fn add(
        &mut self,
        spec: &'static Spec,
        command: &Command<'_, '_>,
    ) -> Result<(), QueueError> {
        let bytes = command.bytes().saturating_add(self.bytes);
        let arguments = command.len().saturating_add(self.arguments);
        let refusal = match spec {
            spec if !spec.is_allowed_in_transactions() => {
                Some(QueueError::NotAllowed { command: spec.name })
            }
            _ if self.commands.len() >= QUEUED_COMMANDS_MAX => Some(QueueError::Commands),
            _ if arguments > QUEUED_ARGUMENTS_MAX => Some(QueueError::Arguments),
            _ if bytes > self.bytes_max => Some(QueueError::Bytes { limit: self.bytes_max }),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.refuse();
            return Err(refusal);
        }
        if !self.is_refused {
            (self.arguments, self.bytes) = (arguments, bytes);
            self.commands.push(Queued { spec, command: command.keep() });
        }
        Ok(())
    }

    /// Takes note that a command was refused: nothing of the transaction will happen, and what it has
    /// kept is let go.
    pub fn refuse(&mut self) {
        self.is_refused = true;
        (self.arguments, self.bytes) = (0, 0);
        self.commands = Vec::new();
    }

    /// Whether a command was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// What the commands take in memory, bytes: their arguments, and what keeps those apart.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let apart = self.arguments.saturating_mul(size_of::<Range<usize>>());
        let commands = self.commands.len().saturating_mul(size_of::<Queued>());
        self.bytes.saturating_add(apart).saturating_add(commands)
    }

    /// The commands, in order.
    #[must_use]
    pub fn into_commands(self) -> Vec<Queued> {
        self.commands
    }
}

/// A key's version, and that of the row of the same name.
type Versions = (Option<Lsn>, Option<Lsn>);

/// What a key was when it began to be watched.
#[derive(Clone, Copy, Debug)]
struct Before {
    versions: Versions,
    /// The newest record then.
    lsn: Lsn,
}

/// Keys that must not change until `EXEC`, a key and a row of the same name alike.
///
/// A key has changed when its newest version is another one, or there is none any more. One that came
/// and went meanwhile has changed too, as long as memory knows of it: behind a flush it is as absent as
/// it was.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    keys: BTreeMap<Vec<u8>, Before>,
    bytes: usize,
}

impl Watched {
    /// Watches one more, as it is now. One that is watched already stays as it was.
    ///
    /// # Errors
    /// There are too many, or it cannot be read.
    pub fn add<S: SegmentStore>(
        &mut self,
        reader: &Reader<S>,
        key: &[u8],
    ) -> Result<Result<(), QueueError>, ReadError> {
        if self.keys.contains_key(key) {
            return Ok(Ok(()));
        }
        let bytes = self.bytes.saturating_add(key.len());
        if self.keys.len() >= WATCHED_KEYS_MAX || bytes > WATCHED_BYTES_MAX {
            return Ok(Err(QueueError::Watched));
        }
        let lsn = reader.applied();
        self.keys.insert(key.to_vec(), Before { versions: versions(reader, key)?, lsn });
        self.bytes = bytes;
        Ok(Ok(()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether any of them has changed.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn have_changed<S: SegmentStore>(&self, reader: &Reader<S>) -> Result<bool, ReadError> {
        for (key, before) in &self.keys {
            if versions(reader, key)? != before.versions || reader.came_since(key, before.lsn)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn versions<S: SegmentStore>(reader: &Reader<S>, key: &[u8]) -> Result<Versions, ReadError> {
    Ok((reader.version(key)?, reader.row_version(key)?))
}

#[cfg(test)]
mod tests {
    use super::{QUEUED_ARGUMENTS_MAX, QUEUED_COMMANDS_MAX, Queue, QueueError};
    use crate::parse::Parser;
    use crate::table::find;
    use alloc::vec::Vec;
    use alloc::{format, string::String};

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvv\r\n";

    fn add(queue: &mut Queue, name: &[u8]) -> Result<(), QueueError> {
        let mut parser = Parser::default();
        parser.parse(SET).unwrap().unwrap();
        queue.add(find(name).unwrap(), &parser.command(SET))
    }

    #[test]
    fn commands_outlive_the_bytes_they_came_in() {
        let mut queue = Queue::new(usize::MAX);
        add(&mut queue, b"set").unwrap();
        assert_eq!(queue.bytes, 6);
        assert!(queue.held_bytes() >= 6 + 3 * 16);
        let commands = queue.into_commands();
        let command = commands[0].command.command();
        let words: Vec<_> = command.arguments_from(0).collect();
        assert_eq!(words, [&b"SET"[..], b"k", b"vv"]);
        assert_eq!(command.len(), 3);
    }

    #[test]
    fn number_and_bytes_are_bounded_and_a_refusal_is_remembered() {
        let mut queue = Queue::new(usize::MAX);
        (0..QUEUED_COMMANDS_MAX).for_each(|_| add(&mut queue, b"set").unwrap());
        assert!(!queue.is_refused());
        assert_eq!(add(&mut queue, b"set"), Err(QueueError::Commands));
        assert!(queue.is_refused() && queue.into_commands().is_empty());
        let mut queue = Queue::new(11);
        add(&mut queue, b"set").unwrap();
        assert_eq!(add(&mut queue, b"set"), Err(QueueError::Bytes { limit: 11 }));
        assert_eq!(queue.held_bytes(), 0, "what is refused is let go");
        let mut queue = Queue::new(11);
        let refused = Err(QueueError::NotAllowed { command: "select" });
        assert_eq!(add(&mut queue, b"SELECT"), refused);
        add(&mut queue, b"set").unwrap();
        assert_eq!(queue.held_bytes(), 0, "nothing more of it is kept");
    }

    #[test]
    fn arguments_without_bytes_are_bounded_and_counted() {
        let words = 10_000;
        let input = format!("*{words}\r\n") + &"$0\r\n\r\n".repeat(words);
        let input: String = input.replacen("$0\r\n\r\n", "$6\r\nEXISTS\r\n", 1);
        let mut parser = Parser::default();
        parser.parse(input.as_bytes()).unwrap().unwrap();
        let command = parser.command(input.as_bytes());
        let (spec, mut queue) = (find(b"exists").unwrap(), Queue::new(usize::MAX));
        for number in 1..=QUEUED_ARGUMENTS_MAX / words {
            queue.add(spec, &command).unwrap();
            assert!(queue.held_bytes() >= number * words * 16);
        }
        assert_eq!(queue.add(spec, &command), Err(QueueError::Arguments));
        assert_eq!(queue.held_bytes(), 0);
    }
}
