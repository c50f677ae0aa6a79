//! The commands: one line each, which is all that dispatch, arity checks and `COMMAND` know.

use super::session::{Later, Queue, Reply, act};

/// What a command does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Changes it: refused on a node that follows.
    Write,
    /// Looks at it.
    Read,
    /// Neither.
    Connection,
}

/// How a command is carried out.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Joins the run of writes.
    Queue(Queue),
    /// Answers at once.
    Now(Reply),
    /// Has to wait, or takes longer than an async thread should be held.
    Later(Later),
}

/// One command.
#[derive(Clone, Copy)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// Arguments with the name; negative: at least as many.
    pub(super) arity: i32,
    /// First and last key and the step between; 0 for none.
    pub(super) keys: (i32, i32, i32),
    pub(super) kind: Kind,
    pub(super) act: Act,
    pub(super) summary: &'static str,
}

const NO_KEYS: (i32, i32, i32) = (0, 0, 0);
const ONE_KEY: (i32, i32, i32) = (1, 1, 1);
const ALL_KEYS: (i32, i32, i32) = (1, -1, 1);

macro_rules! commands {
    ($($name:literal $arity:literal $keys:ident $kind:ident $act:expr, $summary:literal;)*) => {
        [$(Spec {
            name: $name,
            arity: $arity,
            keys: $keys,
            kind: Kind::$kind,
            act: $act,
            summary: $summary,
        }),*]
    };
}

use Act::{Later as L, Now as N, Queue as Q};

/// All commands in order of their names.
pub(super) static COMMANDS: [Spec; 41] = commands![
    "append" 3 ONE_KEY Write L(Later::Append), "Appends to the value of a key";
    "auth" -2 NO_KEYS Connection N(act::auth), "Chooses the namespace";
    "client" -2 NO_KEYS Connection N(act::client), "Says or shows what is known of connections";
    "command" -1 NO_KEYS Connection N(act::command), "Describes the commands";
    "config" -2 NO_KEYS Connection N(act::config), "Shows settings";
    "dbsize" 1 NO_KEYS Read L(Later::DbSize), "Counts the keys";
    "decr" 2 ONE_KEY Write L(Later::Decrement), "Subtracts one from a number";
    "decrby" 3 ONE_KEY Write L(Later::Decrement), "Subtracts from a number";
    "del" -2 ALL_KEYS Write Q(act::del), "Removes keys";
    "echo" 2 NO_KEYS Connection N(act::echo), "Gives back what it is given";
    "exists" -2 ALL_KEYS Read N(act::exists), "Counts which of the keys there are";
    "flushall" -1 NO_KEYS Write N(act::flush), "Refused: drop the namespace instead";
    "flushdb" -1 NO_KEYS Write N(act::flush), "Refused: drop the namespace instead";
    "get" 2 ONE_KEY Read N(act::get), "Gives the value of a key";
    "getdel" 2 ONE_KEY Write Q(act::getdel), "Gives the value of a key and removes it";
    "getrange" 4 ONE_KEY Read N(act::getrange), "Gives a part of a value";
    "getset" 3 ONE_KEY Write Q(act::getset), "Sets a key and gives its value before";
    "hello" -1 NO_KEYS Connection N(act::hello), "Chooses the protocol";
    "incr" 2 ONE_KEY Write L(Later::Increment), "Adds one to a number";
    "incrby" 3 ONE_KEY Write L(Later::Increment), "Adds to a number";
    "info" -1 NO_KEYS Connection L(Later::Info), "Shows the state of the server";
    "keys" 2 NO_KEYS Read L(Later::Keys), "Lists the keys that match a pattern";
    "mget" -2 ALL_KEYS Read N(act::mget), "Gives the values of keys at one moment";
    "mset" -3 ALL_KEYS Write Q(act::mset), "Sets several keys at once";
    "persist" 2 ONE_KEY Read N(act::persist), "Nothing expires yet: answers 0";
    "ping" -1 NO_KEYS Connection N(act::ping), "Answers";
    "pttl" 2 ONE_KEY Read N(act::ttl), "Nothing expires yet: -1, or -2 without the key";
    "quit" -1 NO_KEYS Connection N(act::quit), "Ends the connection";
    "reset" 1 NO_KEYS Connection N(act::reset), "Makes the connection like a new one";
    "scan" -2 NO_KEYS Read N(act::scan), "Lists keys page by page";
    "select" 2 NO_KEYS Connection N(act::select), "Chooses the namespace";
    "set" -3 ONE_KEY Write Q(act::set), "Sets a key";
    "setnx" 3 ONE_KEY Write Q(act::setnx), "Sets a key that is not there yet";
    "strlen" 2 ONE_KEY Read N(act::strlen), "Gives the length of a value";
    "substr" 4 ONE_KEY Read N(act::getrange), "Gives a part of a value";
    "time" 1 NO_KEYS Connection N(act::time), "Gives the server's time";
    "touch" -2 ALL_KEYS Read N(act::exists), "Counts which of the keys there are";
    "ttl" 2 ONE_KEY Read N(act::ttl), "Nothing expires yet: -1, or -2 without the key";
    "type" 2 ONE_KEY Read N(act::kind_of), "Gives the type of a value";
    "unlink" -2 ALL_KEYS Write Q(act::del), "Removes keys";
    "wait" 3 NO_KEYS Connection L(Later::Wait), "Waits until followers hold the last write";
];

/// Longest name there is.
const NAME_MAX: usize = 16;

/// The command of this name, in any case of letters.
pub(super) fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut lower = [0; NAME_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let found = COMMANDS.binary_search_by(|spec| spec.name.as_bytes().cmp(lower)).ok()?;
    COMMANDS.get(found)
}

impl Spec {
    /// Whether a request of `arguments` arguments, the name included, can be carried out.
    pub(super) fn takes(&self, arguments: usize) -> bool {
        let arguments = i32::try_from(arguments).unwrap_or(i32::MAX);
        if self.arity < 0 { arguments >= -self.arity } else { arguments == self.arity }
    }

    /// The flags that `COMMAND` shows.
    pub(super) fn flags(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Write => &["write"],
            Kind::Read => &["readonly"],
            Kind::Connection => &["loading", "stale"],
        }
    }

    /// The group that `COMMAND DOCS` shows.
    pub(super) fn group(&self) -> &'static str {
        match self.kind {
            Kind::Connection => "connection",
            Kind::Write | Kind::Read if self.keys == NO_KEYS => "generic",
            Kind::Write | Kind::Read => "string",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, NAME_MAX, find};

    #[test]
    fn the_table_is_in_order_and_every_name_is_found_in_any_case() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for spec in &COMMANDS {
            assert!(spec.name.len() <= NAME_MAX && !spec.summary.is_empty(), "{}", spec.name);
            let upper = spec.name.to_uppercase();
            assert_eq!(find(upper.as_bytes()).unwrap().name, spec.name);
        }
        assert!(find(b"nothing").is_none() && find(b"").is_none());
        assert!(find(&[b'x'; 100]).is_none());
    }

    #[test]
    fn arity_counts_the_name() {
        let get = find(b"get").unwrap();
        assert!(get.takes(2) && !get.takes(1) && !get.takes(3));
        let del = find(b"del").unwrap();
        assert!(del.takes(2) && del.takes(9) && !del.takes(1));
    }
}
