//! What `MULTI` keeps until `EXEC`, and what `WATCH` remembers.
//!
//! A transaction's replies, and what it writes, are bounded by what it keeps, so all of this has limits.

use crate::parse::Command;
use crate::table::Spec;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use unison_base::Lsn;
use unison_engine::{ReadError, Reader};
use unison_ports::SegmentStore;

/// Most arguments of all commands of a transaction, their names included: one takes memory however short
/// it is. There are no more commands than that.
pub const QUEUED_ARGUMENTS_MAX: usize = 1_000_000;
/// Most bytes of their arguments.
pub const QUEUED_BYTES_MAX: usize = 8 << 20;
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
#[derive(Clone, Copy, Debug)]
struct Queued {
    spec: &'static Spec,
    /// How many arguments there are up to its last one.
    arguments: u32,
}

/// Commands between `MULTI` and `EXEC`, without an allocation of their own for each.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    commands: Vec<Queued>,
    /// Where each argument ends.
    ends: Vec<u32>,
    bytes: Vec<u8>,
    bytes_max: usize,
    is_refused: bool,
}

const _: () = assert!(QUEUED_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(QUEUED_ARGUMENTS_MAX <= u32::MAX as usize);

impl Queue {
    /// An empty one, of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(QUEUED_BYTES_MAX);
        Self { bytes_max, ..Self::default() }
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
        let bytes = command.bytes().saturating_add(self.bytes.len());
        let arguments = command.len().saturating_add(self.ends.len());
        let refusal = match spec {
            spec if !spec.is_allowed_in_transactions() => {
                Some(QueueError::NotAllowed { command: spec.name })
            }
            _ if arguments > QUEUED_ARGUMENTS_MAX => Some(QueueError::Arguments),
            _ if bytes > self.bytes_max => Some(QueueError::Bytes { limit: self.bytes_max }),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.refuse();
            return Err(refusal);
        }
        if !self.is_refused {
            for word in command.arguments_from(0) {
                self.bytes.extend_from_slice(word);
                self.ends.push(narrow(self.bytes.len()));
            }
            self.commands.push(Queued { spec, arguments: narrow(self.ends.len()) });
        }
        Ok(())
    }

    /// Takes note that a command was refused: nothing of the transaction will happen, and what it has
    /// kept is let go.
    pub fn refuse(&mut self) {
        *self = Self { is_refused: true, bytes_max: self.bytes_max, ..Self::default() };
    }

    /// Whether a command was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// What the commands take in memory, bytes: their arguments, and what keeps those apart.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let apart = self.ends.capacity().saturating_mul(size_of::<u32>());
        let commands = self.commands.capacity().saturating_mul(size_of::<Queued>());
        self.bytes.capacity().saturating_add(apart).saturating_add(commands)
    }

    /// How many commands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// How many arguments all commands have together, names included.
    #[must_use]
    pub fn arguments(&self) -> usize {
        self.ends.len()
    }

    /// What the commands are, in order.
    pub fn specs(&self) -> impl Iterator<Item = &'static Spec> {
        self.commands.iter().map(|queued| queued.spec)
    }

    /// The command at `index`; `words` is room for where its arguments are.
    #[must_use]
    pub fn command<'p, 'b>(
        &'b self,
        index: usize,
        words: &'p mut Vec<Range<usize>>,
    ) -> Option<(&'static Spec, Command<'p, 'b>)> {
        let Queued { spec, arguments } = *self.commands.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.commands.get(before));
        let first = before.map_or(0, |before| before.arguments as usize);
        let mut start = match first.checked_sub(1) {
            Some(last) => *self.ends.get(last)? as usize,
            None => 0,
        };
        words.clear();
        for end in self.ends.get(first..arguments as usize)? {
            let end = *end as usize;
            words.push(start..end);
            start = end;
        }
        Some((spec, Command::of(&self.bytes, words)))
    }
}

/// What the bounds above let be no larger.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
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
    use super::{QUEUED_ARGUMENTS_MAX, Queue, QueueError};
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
        add(&mut queue, b"get").unwrap();
        assert!(queue.held_bytes() >= 2 * (6 + 3 * 4));
        assert_eq!((queue.len(), queue.arguments()), (2, 6));
        let names: Vec<_> = queue.specs().map(|spec| spec.name).collect();
        assert_eq!(names, ["set", "get"]);
        for (index, name) in names.into_iter().enumerate() {
            let mut ranges = Vec::new();
            let (spec, command) = queue.command(index, &mut ranges).unwrap();
            let words: Vec<_> = command.arguments_from(0).collect();
            assert_eq!(
                (spec.name, words.as_slice()),
                (name, [&b"SET"[..], b"k", b"vv"].as_slice())
            );
        }
        assert!(queue.command(2, &mut Vec::new()).is_none());
    }

    #[test]
    fn bytes_are_bounded_and_a_refusal_is_remembered() {
        let mut queue = Queue::new(11);
        add(&mut queue, b"set").unwrap();
        assert_eq!(add(&mut queue, b"set"), Err(QueueError::Bytes { limit: 11 }));
        assert!(queue.is_refused() && queue.is_empty());
        assert_eq!(queue.held_bytes(), 0, "what is refused is let go");
        let mut queue = Queue::new(11);
        let refused = Err(QueueError::NotAllowed { command: "select" });
        assert_eq!(add(&mut queue, b"SELECT"), refused);
        add(&mut queue, b"set").unwrap();
        assert_eq!(queue.held_bytes(), 0, "nothing more of it is kept");
    }

    #[test]
    fn commands_of_one_word_are_bounded_and_take_little() {
        let input = b"*1\r\n$6\r\nDBSIZE\r\n";
        let mut parser = Parser::default();
        parser.parse(input).unwrap().unwrap();
        let (spec, mut queue) = (find(b"dbsize").unwrap(), Queue::new(usize::MAX));
        let command = parser.command(input);
        for _ in 0..QUEUED_ARGUMENTS_MAX {
            queue.add(spec, &command).unwrap();
        }
        assert!(queue.held_bytes() <= 64 << 20, "{}", queue.held_bytes());
        assert_eq!(queue.add(spec, &command), Err(QueueError::Arguments));
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
            assert!(queue.held_bytes() >= number * words * 4);
        }
        assert_eq!(queue.add(spec, &command), Err(QueueError::Arguments));
        assert_eq!(queue.held_bytes(), 0);
    }
}
