//! Servers over tokio: RESP, HTTP, the link, metrics, configuration.
