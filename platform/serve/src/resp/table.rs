//! How each command is carried out here.

use unison_resp::table::Verb;

use super::session::{Later, Look, Plan, Queue, Reply, Say, act};

/// How a command is carried out.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Joins the run of writes.
    Queue(Queue),
    /// Looks at a key, and writes what it makes of it.
    Change(Plan),
    /// Looks, and answers at once.
    Look(Look),
    /// Looks for longer than an async thread should be held.
    LookAside(Look),
    /// Answers at once, without a look.
    Say(Say),
    /// Asks or changes something of the connection.
    Now(Reply),
    /// Has to wait.
    Later(Later),
}

/// How a command is carried out.
pub(super) fn act_of(verb: Verb) -> Act {
    match verb {
        Verb::Append => Act::Change(act::append),
        Verb::Auth => Act::Now(act::auth),
        Verb::Client => Act::Now(act::client),
        Verb::Command => Act::Say(act::command),
        Verb::Config => Act::Now(act::config),
        Verb::DbSize => Act::LookAside(act::count),
        Verb::Decrement => Act::Change(act::decrement),
        Verb::Delete => Act::Queue(act::del),
        Verb::Discard => Act::Now(act::discard),
        Verb::Echo => Act::Say(act::echo),
        Verb::Exec => Act::Later(Later::Exec),
        Verb::Exists => Act::Look(act::exists),
        Verb::Expire => Act::Change(act::expire),
        Verb::Flush => Act::Now(act::flush),
        Verb::Get => Act::Look(act::get),
        Verb::GetDelete => Act::Queue(act::getdel),
        Verb::GetExpire => Act::Change(act::get_and_expire),
        Verb::GetRange => Act::Look(act::getrange),
        Verb::GetSet => Act::Queue(act::getset),
        Verb::HashDelete => Act::Queue(act::hdel),
        Verb::HashExists => Act::Look(act::hexists),
        Verb::HashFieldLength => Act::Look(act::hstrlen),
        Verb::HashGet => Act::Look(act::hget),
        Verb::HashGetAll => Act::LookAside(act::hgetall),
        Verb::HashKeys => Act::LookAside(act::hkeys),
        Verb::HashLength => Act::LookAside(act::hlen),
        Verb::HashMultiGet => Act::Look(act::hmget),
        Verb::HashMultiSet => Act::Queue(act::hmset),
        Verb::HashScan => Act::Look(act::hscan),
        Verb::HashSet => Act::Queue(act::hset),
        Verb::HashValues => Act::LookAside(act::hvals),
        Verb::Hello => Act::Now(act::hello),
        Verb::Increment => Act::Change(act::increment),
        Verb::Info => Act::Later(Later::Info),
        Verb::Keys => Act::LookAside(act::keys),
        Verb::Length => Act::Look(act::strlen),
        Verb::Multi => Act::Now(act::multi),
        Verb::MultiGet => Act::Look(act::mget),
        Verb::MultiSet => Act::Queue(act::mset),
        Verb::Persist => Act::Change(act::persist),
        Verb::PatternSubscribe => Act::Now(act::psubscribe),
        Verb::PatternUnsubscribe => Act::Now(act::punsubscribe),
        Verb::Ping => Act::Say(act::ping),
        Verb::Publish => Act::Queue(act::publish),
        Verb::PubSub => Act::Now(act::pubsub),
        Verb::Quit => Act::Now(act::quit),
        Verb::Reset => Act::Now(act::reset),
        Verb::Scan => Act::Look(act::scan),
        Verb::Select => Act::Now(act::select),
        Verb::Set => Act::Queue(act::set),
        Verb::SetAbsent => Act::Queue(act::setnx),
        Verb::SetExpiring => Act::Queue(act::setex),
        Verb::Subscribe => Act::Now(act::subscribe),
        Verb::Time => Act::Say(act::time),
        Verb::TimeToLive => Act::Look(act::ttl),
        Verb::Type => Act::Look(act::kind_of),
        Verb::Unsubscribe => Act::Now(act::unsubscribe),
        Verb::Unwatch => Act::Now(act::unwatch),
        Verb::Wait => Act::Later(Later::Wait),
        Verb::Watch => Act::Now(act::watch),
    }
}
