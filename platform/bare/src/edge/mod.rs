//! The edge-node of a board: one loop without threads.
//!
//! ```text
//!                       +-- Follow: link, engines, flushes --+
//! poll -> network in -> |                                    | -> network out -> Wake
//!                       +-- servers: RESP, HTTP -------------+
//! ```
//!
//! [`EdgeNode::poll`] never waits for the network and does a bounded amount of work: as many frames,
//! reads, commands and flushes as named limits say. It does wait for the disk, as long as the device
//! takes. What goes wrong is a state that `/status` shows and an [`Event`] that is told once; the
//! node answers what it can while disk, hub or network are away.

mod config;
mod disk;
mod event;
mod follow;
mod http;
mod line;
mod memory;
mod namespaces;
mod node;
mod replica;
mod resp;
mod status;
mod tenant;
mod view;
mod wall;

pub use config::{
    BootArgumentError, EdgeConfig, HubAddress, NAMESPACES_MAX, NamespaceList, WORD_MAX, Word,
};
pub use event::{AwayReason, DiskError, Event, OpenFailure, ServerKind, Severity};
pub use node::EdgeNode;
