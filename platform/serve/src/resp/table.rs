//! How each command is carried out here.

use unison_resp::hashes::Parts;
use unison_resp::table::Verb;

use super::session::{Later, Queue, Reply, act};

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

/// How a command is carried out.
pub(super) fn act_of(verb: Verb) -> Act {
    match verb {
        Verb::Append => Act::Later(Later::Append),
        Verb::Auth => Act::Now(act::auth),
        Verb::Client => Act::Now(act::client),
        Verb::Command => Act::Now(act::command),
        Verb::Config => Act::Now(act::config),
        Verb::DbSize => Act::Later(Later::DbSize),
        Verb::Decrement => Act::Later(Later::Decrement),
        Verb::Delete => Act::Queue(act::del),
        Verb::Echo => Act::Now(act::echo),
        Verb::Exists => Act::Now(act::exists),
        Verb::Expire => Act::Later(Later::Expire),
        Verb::Flush => Act::Now(act::flush),
        Verb::Get => Act::Now(act::get),
        Verb::GetDelete => Act::Queue(act::getdel),
        Verb::GetExpire => Act::Later(Later::GetExpire),
        Verb::GetRange => Act::Now(act::getrange),
        Verb::GetSet => Act::Queue(act::getset),
        Verb::HashDelete => Act::Queue(act::hdel),
        Verb::HashExists => Act::Now(act::hexists),
        Verb::HashFieldLength => Act::Now(act::hstrlen),
        Verb::HashGet => Act::Now(act::hget),
        Verb::HashGetAll => Act::Later(Later::HashAll(Parts::Both)),
        Verb::HashKeys => Act::Later(Later::HashAll(Parts::Names)),
        Verb::HashLength => Act::Later(Later::HashLength),
        Verb::HashMultiGet => Act::Now(act::hmget),
        Verb::HashMultiSet => Act::Queue(act::hmset),
        Verb::HashScan => Act::Now(act::hscan),
        Verb::HashSet => Act::Queue(act::hset),
        Verb::HashValues => Act::Later(Later::HashAll(Parts::Values)),
        Verb::Hello => Act::Now(act::hello),
        Verb::Increment => Act::Later(Later::Increment),
        Verb::Info => Act::Later(Later::Info),
        Verb::Keys => Act::Later(Later::Keys),
        Verb::Length => Act::Now(act::strlen),
        Verb::MultiGet => Act::Now(act::mget),
        Verb::MultiSet => Act::Queue(act::mset),
        Verb::Persist => Act::Later(Later::Persist),
        Verb::PatternSubscribe => Act::Now(act::psubscribe),
        Verb::PatternUnsubscribe => Act::Now(act::punsubscribe),
        Verb::Ping => Act::Now(act::ping),
        Verb::Publish => Act::Later(Later::Publish),
        Verb::PubSub => Act::Now(act::pubsub),
        Verb::Quit => Act::Now(act::quit),
        Verb::Reset => Act::Now(act::reset),
        Verb::Scan => Act::Now(act::scan),
        Verb::Select => Act::Now(act::select),
        Verb::Set => Act::Queue(act::set),
        Verb::SetAbsent => Act::Queue(act::setnx),
        Verb::SetExpiring => Act::Queue(act::setex),
        Verb::Subscribe => Act::Now(act::subscribe),
        Verb::Time => Act::Now(act::time),
        Verb::TimeToLive => Act::Now(act::ttl),
        Verb::Type => Act::Now(act::kind_of),
        Verb::Unsubscribe => Act::Now(act::unsubscribe),
        Verb::Wait => Act::Later(Later::Wait),
    }
}
