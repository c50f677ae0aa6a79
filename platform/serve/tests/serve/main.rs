//! The servers over real sockets and a real store in a temporary directory.

mod http;
mod http_expiry;
mod http_known;
mod http_meaning;
mod http_objects;
mod http_origins;
mod http_rows;
mod http_space;
mod http_subscriptions;
mod http_topic_settings;
mod http_topics;
mod http_transactions;
mod openapi;
mod resp;
mod resp_channels;
mod resp_expiry;
mod resp_hashes;
mod resp_limits;
mod resp_tools;
mod resp_transactions;
mod resp_words;
mod running;
mod watch;
#[cfg(feature = "zeromq")]
mod zeromq;
