//! The commands: one line each, which is all that dispatch, arity checks and `COMMAND` know.

use alloc::vec::Vec;

/// What a command does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes it: refused on a node that follows.
    Write,
    /// Looks at it.
    Read,
    /// Neither.
    Connection,
}

/// What a command does. Names that mean the same share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `APPEND`.
    Append,
    /// `AUTH`.
    Auth,
    /// `CLIENT`.
    Client,
    /// `COMMAND`.
    Command,
    /// `CONFIG`.
    Config,
    /// `DBSIZE`.
    DbSize,
    /// `DECR`, `DECRBY`.
    Decrement,
    /// `DEL`, `UNLINK`.
    Delete,
    /// `DISCARD`.
    Discard,
    /// `ECHO`.
    Echo,
    /// `EXEC`.
    Exec,
    /// `EXISTS`, `TOUCH`.
    Exists,
    /// `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`.
    Expire,
    /// `FLUSHALL`, `FLUSHDB`.
    Flush,
    /// `GET`.
    Get,
    /// `GETDEL`.
    GetDelete,
    /// `GETEX`.
    GetExpire,
    /// `GETRANGE`, `SUBSTR`.
    GetRange,
    /// `GETSET`.
    GetSet,
    /// `HDEL`.
    HashDelete,
    /// `HEXISTS`.
    HashExists,
    /// `HSTRLEN`.
    HashFieldLength,
    /// `HGET`.
    HashGet,
    /// `HGETALL`.
    HashGetAll,
    /// `HKEYS`.
    HashKeys,
    /// `HLEN`.
    HashLength,
    /// `HMGET`.
    HashMultiGet,
    /// `HMSET`.
    HashMultiSet,
    /// `HSCAN`.
    HashScan,
    /// `HSET`.
    HashSet,
    /// `HVALS`.
    HashValues,
    /// `HELLO`.
    Hello,
    /// `INCR`, `INCRBY`.
    Increment,
    /// `INFO`.
    Info,
    /// `KEYS`.
    Keys,
    /// `STRLEN`.
    Length,
    /// `MULTI`.
    Multi,
    /// `MGET`.
    MultiGet,
    /// `MSET`.
    MultiSet,
    /// `PERSIST`.
    Persist,
    /// `PING`.
    Ping,
    /// `PSUBSCRIBE`.
    PatternSubscribe,
    /// `PUNSUBSCRIBE`.
    PatternUnsubscribe,
    /// `PUBLISH`.
    Publish,
    /// `PUBSUB`.
    PubSub,
    /// `QUIT`.
    Quit,
    /// `RESET`.
    Reset,
    /// `SCAN`.
    Scan,
    /// `SELECT`.
    Select,
    /// `SET`.
    Set,
    /// `SETNX`.
    SetAbsent,
    /// `SETEX`, `PSETEX`.
    SetExpiring,
    /// `SUBSCRIBE`.
    Subscribe,
    /// `TIME`.
    Time,
    /// `TTL`, `PTTL`, `EXPIRETIME`, `PEXPIRETIME`.
    TimeToLive,
    /// `TYPE`.
    Type,
    /// `UNSUBSCRIBE`.
    Unsubscribe,
    /// `UNWATCH`.
    Unwatch,
    /// `WAIT`.
    Wait,
    /// `WATCH`.
    Watch,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name in small letters.
    pub name: &'static str,
    /// Arguments with the name; negative: at least as many.
    pub arity: i32,
    /// First and last key and the step between; 0 for none.
    pub keys: (i32, i32, i32),
    /// What it does to the data.
    pub kind: Kind,
    /// What it does.
    pub verb: Verb,
    /// What it does, for people.
    pub summary: &'static str,
}

const NO_KEYS: (i32, i32, i32) = (0, 0, 0);
const ONE_KEY: (i32, i32, i32) = (1, 1, 1);
const ALL_KEYS: (i32, i32, i32) = (1, -1, 1);
const KEYS_OF_PAIRS: (i32, i32, i32) = (1, -1, 2);

macro_rules! commands {
    ($($name:literal $arity:literal $keys:ident $kind:ident $verb:ident, $summary:literal;)*) => {
        [$(Spec {
            name: $name,
            arity: $arity,
            keys: $keys,
            kind: Kind::$kind,
            verb: Verb::$verb,
            summary: $summary,
        }),*]
    };
}

/// All commands in order of their names.
pub static COMMANDS: [Spec; 73] = commands![
    "append" 3 ONE_KEY Write Append, "Appends to the value of a key";
    "auth" -2 NO_KEYS Connection Auth, "Chooses the namespace";
    "client" -2 NO_KEYS Connection Client, "Says or shows what is known of connections";
    "command" -1 NO_KEYS Connection Command, "Describes the commands";
    "config" -2 NO_KEYS Connection Config, "Shows settings";
    "dbsize" 1 NO_KEYS Read DbSize, "Counts the keys";
    "decr" 2 ONE_KEY Write Decrement, "Subtracts one from a number";
    "decrby" 3 ONE_KEY Write Decrement, "Subtracts from a number";
    "del" -2 ALL_KEYS Write Delete, "Removes keys and rows";
    "discard" 1 NO_KEYS Connection Discard, "Ends a transaction of which nothing happens";
    "echo" 2 NO_KEYS Connection Echo, "Gives back what it is given";
    "exec" 1 NO_KEYS Connection Exec, "Carries out a transaction at once";
    "exists" -2 ALL_KEYS Read Exists, "Counts which of the keys and rows there are";
    "expire" -3 ONE_KEY Write Expire, "Makes a key or a row expire after seconds";
    "expireat" -3 ONE_KEY Write Expire, "Makes a key or a row expire at a time in seconds";
    "expiretime" 2 ONE_KEY Read TimeToLive, "Says when a key or a row expires, in seconds";
    "flushall" -1 NO_KEYS Write Flush, "Refused: drop the namespace instead";
    "flushdb" -1 NO_KEYS Write Flush, "Refused: drop the namespace instead";
    "get" 2 ONE_KEY Read Get, "Gives the value of a key";
    "getdel" 2 ONE_KEY Write GetDelete, "Gives the value of a key and removes it";
    "getex" -2 ONE_KEY Write GetExpire, "Gives the value of a key and changes when it expires";
    "getrange" 4 ONE_KEY Read GetRange, "Gives a part of a value";
    "getset" 3 ONE_KEY Write GetSet, "Sets a key and gives its value before";
    "hdel" -3 ONE_KEY Write HashDelete, "Deletes columns of a row";
    "hello" -1 NO_KEYS Connection Hello, "Chooses the protocol";
    "hexists" 3 ONE_KEY Read HashExists, "Says whether a row has a column";
    "hget" 3 ONE_KEY Read HashGet, "Gives the value of a column";
    "hgetall" 2 ONE_KEY Read HashGetAll, "Gives all columns of a row and their values";
    "hkeys" 2 ONE_KEY Read HashKeys, "Lists the columns of a row";
    "hlen" 2 ONE_KEY Read HashLength, "Counts the columns of a row";
    "hmget" -3 ONE_KEY Read HashMultiGet, "Gives the values of columns at one moment";
    "hmset" -4 ONE_KEY Write HashMultiSet, "Sets columns of a row";
    "hscan" -3 ONE_KEY Read HashScan, "Lists the columns of a row page by page";
    "hset" -4 ONE_KEY Write HashSet, "Sets columns of a row";
    "hstrlen" 3 ONE_KEY Read HashFieldLength, "Gives the length of a column's value";
    "hvals" 2 ONE_KEY Read HashValues, "Lists the values of a row";
    "incr" 2 ONE_KEY Write Increment, "Adds one to a number";
    "incrby" 3 ONE_KEY Write Increment, "Adds to a number";
    "info" -1 NO_KEYS Connection Info, "Shows the state of the server";
    "keys" 2 NO_KEYS Read Keys, "Lists the keys that match a pattern";
    "mget" -2 ALL_KEYS Read MultiGet, "Gives the values of keys at one moment";
    "mset" -3 KEYS_OF_PAIRS Write MultiSet, "Sets several keys at once";
    "multi" 1 NO_KEYS Connection Multi, "Begins a transaction";
    "persist" 2 ONE_KEY Write Persist, "Makes a key or a row last for ever";
    "pexpire" -3 ONE_KEY Write Expire, "Makes a key or a row expire after milliseconds";
    "pexpireat" -3 ONE_KEY Write Expire, "Makes a key or a row expire at a time in milliseconds";
    "pexpiretime" 2 ONE_KEY Read TimeToLive, "Says when a key or a row expires, in milliseconds";
    "ping" -1 NO_KEYS Connection Ping, "Answers";
    "psetex" 4 ONE_KEY Write SetExpiring, "Sets a key that expires after milliseconds";
    "psubscribe" -2 NO_KEYS Connection PatternSubscribe, "Listens to channels that match patterns";
    "pttl" 2 ONE_KEY Read TimeToLive, "Says how long a key or a row lives, in milliseconds";
    "publish" 3 NO_KEYS Write Publish, "Publishes a message to a topic, which is a channel";
    "pubsub" -2 NO_KEYS Connection PubSub, "Shows which channels are listened to";
    "punsubscribe" -1 NO_KEYS Connection PatternUnsubscribe, "Stops listening to patterns";
    "quit" -1 NO_KEYS Connection Quit, "Ends the connection";
    "reset" 1 NO_KEYS Connection Reset, "Makes the connection like a new one";
    "scan" -2 NO_KEYS Read Scan, "Lists keys page by page";
    "select" 2 NO_KEYS Connection Select, "Chooses the namespace";
    "set" -3 ONE_KEY Write Set, "Sets a key";
    "setex" 4 ONE_KEY Write SetExpiring, "Sets a key that expires after seconds";
    "setnx" 3 ONE_KEY Write SetAbsent, "Sets a key that is not there yet";
    "strlen" 2 ONE_KEY Read Length, "Gives the length of a value";
    "subscribe" -2 NO_KEYS Connection Subscribe, "Listens to channels";
    "substr" 4 ONE_KEY Read GetRange, "Gives a part of a value";
    "time" 1 NO_KEYS Connection Time, "Gives the server's time";
    "touch" -2 ALL_KEYS Read Exists, "Counts which of the keys and rows there are";
    "ttl" 2 ONE_KEY Read TimeToLive, "Says how long a key or a row lives, in seconds";
    "type" 2 ONE_KEY Read Type, "Gives the type of a value";
    "unlink" -2 ALL_KEYS Write Delete, "Removes keys and rows";
    "unsubscribe" -1 NO_KEYS Connection Unsubscribe, "Stops listening to channels";
    "unwatch" 1 NO_KEYS Connection Unwatch, "Watches no key any more";
    "wait" 3 NO_KEYS Connection Wait, "Waits until followers hold the last write";
    "watch" -2 ALL_KEYS Read Watch, "Makes the next transaction depend on keys and rows that do not change";
];

/// Longest name there is.
const NAME_MAX: usize = 16;

/// The command of this name, in any case of letters.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut lower = [0; NAME_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let found = COMMANDS.binary_search_by(|spec| spec.name.as_bytes().cmp(lower)).ok()?;
    COMMANDS.get(found)
}

impl Spec {
    /// Whether a request of `arguments` arguments, the name included, can be carried out.
    #[must_use]
    pub fn takes(&self, arguments: usize) -> bool {
        let arguments = i32::try_from(arguments).unwrap_or(i32::MAX);
        if self.arity < 0 { arguments >= -self.arity } else { arguments == self.arity }
    }

    /// Which of so many arguments, the name included, are keys.
    #[must_use]
    pub fn positions_of_keys(&self, arguments: usize) -> Vec<usize> {
        let (first, last, step) = self.keys;
        let position = |number: i32| usize::try_from(number).unwrap_or(0);
        let end = if last < 0 { arguments } else { position(last) + 1 };
        if first == 0 {
            Vec::new()
        } else {
            (position(first)..end).step_by(position(step)).collect()
        }
    }

    /// The flags that `COMMAND` shows.
    #[must_use]
    pub fn flags(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Write => &["write"],
            Kind::Read => &["readonly"],
            Kind::Connection if self.is_of_transactions() => &["noscript", "loading", "stale"],
            Kind::Connection if self.is_allowed_in_transactions() => &["loading", "stale"],
            Kind::Connection => &["loading", "stale", "no_multi"],
        }
    }

    /// Whether it begins, ends or guards a transaction.
    #[must_use]
    pub const fn is_of_transactions(&self) -> bool {
        matches!(self.verb, Verb::Multi | Verb::Exec | Verb::Discard | Verb::Watch | Verb::Unwatch)
    }

    /// Whether it is carried out at once between `MULTI` and `EXEC`.
    #[must_use]
    pub const fn is_never_queued(&self) -> bool {
        let of_transactions = self.is_of_transactions() && !matches!(self.verb, Verb::Unwatch);
        of_transactions || matches!(self.verb, Verb::Quit | Verb::Reset)
    }

    /// Whether it may stand between `MULTI` and `EXEC`: what reads and writes, and what needs neither
    /// the connection nor another namespace.
    #[must_use]
    pub const fn is_allowed_in_transactions(&self) -> bool {
        match self.kind {
            Kind::Write => !matches!(self.verb, Verb::Flush),
            Kind::Read => true,
            Kind::Connection => matches!(
                self.verb,
                Verb::Command | Verb::Echo | Verb::Ping | Verb::Time | Verb::Unwatch
            ),
        }
    }

    /// Whether it is about channels.
    #[must_use]
    pub const fn is_of_subscriptions(&self) -> bool {
        matches!(
            self.verb,
            Verb::Subscribe
                | Verb::Unsubscribe
                | Verb::PatternSubscribe
                | Verb::PatternUnsubscribe
                | Verb::PubSub
        )
    }

    /// Whether a connection of RESP2 that has subscribed may ask it: there its answer cannot be
    /// taken for a message.
    #[must_use]
    pub const fn is_allowed_while_subscribed(&self) -> bool {
        let changes = self.is_of_subscriptions() && !matches!(self.verb, Verb::PubSub);
        changes || matches!(self.verb, Verb::Ping | Verb::Quit | Verb::Reset)
    }

    /// The group that `COMMAND DOCS` shows.
    #[must_use]
    pub fn group(&self) -> &'static str {
        match self.kind {
            _ if self.is_of_subscriptions() || self.verb == Verb::Publish => "pubsub",
            _ if self.is_of_transactions() => "transactions",
            Kind::Connection => "connection",
            Kind::Write | Kind::Read if self.keys == NO_KEYS => "generic",
            Kind::Write | Kind::Read if self.name.starts_with('h') => "hash",
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
    fn keys_stand_where_the_table_says() {
        let positions = |name: &[u8], arguments| find(name).unwrap().positions_of_keys(arguments);
        assert_eq!(positions(b"set", 5), [1]);
        assert_eq!(positions(b"del", 4), [1, 2, 3]);
        assert_eq!(positions(b"mset", 5), [1, 3]);
        assert_eq!(positions(b"ping", 2), [0_usize; 0]);
    }

    #[test]
    fn arity_counts_the_name() {
        let get = find(b"get").unwrap();
        assert!(get.takes(2) && !get.takes(1) && !get.takes(3));
        let del = find(b"del").unwrap();
        assert!(del.takes(2) && del.takes(9) && !del.takes(1));
    }
}
