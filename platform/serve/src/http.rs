//! The HTTP server: keys and values, rows, namespaces, the log's place and backup, health and metrics.
//!
//! Every answer is JSON except `/metrics`; every error, the framework's own included, is
//! `{"error": "..."}`.

mod backup;
mod body;
mod condition;
mod cors;
mod error;
mod event_stream;
mod item;
mod kv;
mod line;
mod list;
mod log;
mod moment;
mod namespaces;
mod object;
mod object_body;
mod object_list;
mod openapi;
mod path;
mod process;
mod query;
mod range;
mod routes;
mod row;
mod row_batch;
mod row_list;
mod row_read;
mod server;
mod topics;
mod topics_read;
mod topics_settings;
mod topics_subscribe;
mod transaction;
mod transaction_write;
mod tree_backup;
mod ttl;
mod turns;
mod upload;
mod watch;
mod whole;

pub use error::ApiError;
pub use server::HttpServer;
pub(crate) use turns::Turns;
