//! Counters of the servers, and the page of metrics: these and what store and link say at that
//! moment. Bounded: at most [`NAMESPACES_SHOWN`] namespaces have lines of their own.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

mod page;

pub(crate) use page::page;

/// Most namespaces with lines of their own.
pub(crate) const NAMESPACES_SHOWN: usize = 256;

/// Counters of one server.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    /// Connections accepted.
    pub(crate) accepted: Counter,
    /// Connections that ended.
    pub(crate) ended: Counter,
    /// Connections refused above the limit.
    pub(crate) refused: Counter,
    /// Connections dropped because they were too slow.
    pub(crate) too_slow: Counter,
    /// Requests or commands answered.
    pub(crate) requests: Counter,
    /// Of those, answered with an error.
    pub(crate) errors: Counter,
    /// Bytes received.
    pub(crate) received: Counter,
    /// Bytes sent.
    pub(crate) sent: Counter,
}

/// Counters of a process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) resp: ServerCounters,
    pub(crate) http: ServerCounters,
    /// Keys looked up over RESP and found.
    pub(crate) hits: Counter,
    /// Keys looked up over RESP and not found.
    pub(crate) misses: Counter,
}

impl ServerCounters {
    /// Connections at present.
    pub(crate) fn open(&self) -> u64 {
        self.accepted.get().saturating_sub(self.ended.get())
    }

    fn register(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("connections", "Connections accepted", &self.accepted),
            ("connections_ended", "Connections that ended", &self.ended),
            ("connections_refused", "Connections above the limit", &self.refused),
            ("connections_too_slow", "Connections dropped for being too slow", &self.too_slow),
            ("requests", "Requests answered", &self.requests),
            ("errors", "Requests answered with an error", &self.errors),
            ("received_bytes", "Bytes received", &self.received),
            ("sent_bytes", "Bytes sent", &self.sent),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}
