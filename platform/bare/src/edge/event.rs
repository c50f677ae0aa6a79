//! What a person would want in the log: each change once, never once a poll.

use super::config::HubAddress;
use crate::medium::{MediumError, TreeOpenError, WantedError};
use crate::net::Address;
use core::fmt;
use unison_base::{Lsn, NamespaceName};
use unison_engine::{EngineOpenError, FlushError};
use unison_link::{CloseReason, Divergence, Refusal, RunFault};
use unison_node::ReplicaError;
use unison_ports::IoError;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Severity {
    /// As it should be.
    Info,
    /// Goes away by itself, or costs nothing yet.
    Warning,
    /// Somebody has to look.
    Error,
}

/// A server of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerKind {
    /// RESP.
    Resp,
    /// HTTP.
    Http,
}

/// Why there is no connection to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AwayReason {
    /// This node has no address yet, or no more.
    #[error("this node has no address")]
    NoAddress,
    /// Nothing answered.
    #[error("nothing answers there")]
    Unreachable,
    /// The machine is there and nobody listens.
    #[error("the connection was refused")]
    Refused,
    /// The hub closed the connection without a word, or it broke.
    #[error("the connection was closed")]
    Closed,
    /// The link ended it.
    #[error("{0}")]
    Link(#[cfg_attr(feature = "defmt", defmt(Display2Format))] CloseReason),
    /// A namespace could not take records.
    #[error("{0}")]
    Replica(#[cfg_attr(feature = "defmt", defmt(Display2Format))] ReplicaError),
}

/// Why a disk is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DiskError {
    /// No disk could hold these namespaces.
    #[error("{0}")]
    Wanted(#[cfg_attr(feature = "defmt", defmt(Display2Format))] WantedError),
    /// This one cannot.
    #[error("{0}")]
    Medium(#[cfg_attr(feature = "defmt", defmt(Display2Format))] MediumError),
}

/// Why a namespace did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenFailure {
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(#[cfg_attr(feature = "defmt", defmt(Display2Format))] IoError),
    /// The tree cannot be opened.
    #[error("{0}")]
    Tree(#[cfg_attr(feature = "defmt", defmt(Display2Format))] TreeOpenError),
    /// Log and tree give no state that can be served.
    #[error("{0}")]
    Engine(#[cfg_attr(feature = "defmt", defmt(Display2Format))] EngineOpenError),
    /// The link does not take the namespace.
    #[error("{0}")]
    Replica(#[cfg_attr(feature = "defmt", defmt(Display2Format))] ReplicaError),
    /// The link has no room for it.
    #[error("the link takes no more namespaces")]
    Link,
}

/// Something that a person would want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// This node has no address yet and asks for one.
    AddressAwaited,
    /// This node has an address.
    AddressAcquired {
        /// The address.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        address: Address,
    },
    /// This node has no address any more.
    AddressLost,
    /// The disk is open.
    DiskOpened {
        /// It was blank and has been divided.
        formatted: bool,
    },
    /// The disk cannot be used.
    DiskRefused {
        /// Why.
        error: DiskError,
    },
    /// The disk failed to keep what was written. It is opened again and everything on it is checked.
    DiskFailed {
        /// What it said.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        error: IoError,
    },
    /// There is no disk: this node holds nothing and follows nobody.
    DiskMissing,
    /// A namespace is open and can be read.
    NamespaceOpened {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Newest record that readers see.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        applied: Lsn,
        /// Records replayed from the log.
        replayed: u64,
    },
    /// Opening a namespace found damage in its log. What was damaged is set aside, kept, and fetched
    /// again.
    DamageFound {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Segments with bytes that changed by themselves.
        segments: u64,
        /// Times that the log's end was shorter than what had been synced.
        lost_tails: u64,
        /// Stretches of records that are missing.
        gaps: u64,
    },
    /// Opening a namespace cut its log at a hole that a power cut leaves, or rot: nothing tells which.
    /// What lay behind it is kept, and fetched again.
    HoleFound {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
    },
    /// A damaged tree was forgotten and made anew from the log.
    TreeMadeAnew {
        /// Of which namespace.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
    },
    /// A namespace cannot be opened. It is tried again.
    NamespaceFailed {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Why.
        failure: OpenFailure,
    },
    /// The connection to the hub stands.
    HubReached {
        /// Where it is.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        hub: HubAddress,
    },
    /// There is no connection to the hub.
    HubAway {
        /// Where it should be.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        hub: HubAddress,
        /// Why.
        reason: AwayReason,
        /// Milliseconds to the next attempt.
        next_in_ms: u64,
    },
    /// The hub serves a namespace, and this node has not all of it.
    CatchingUp {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Records that are missing.
        behind: u64,
    },
    /// This node has everything that the hub has of a namespace.
    UpToDate {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Newest record that readers see.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        applied: Lsn,
    },
    /// The hub does not serve a namespace now. It is asked again.
    Waiting {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Why.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        reason: Refusal,
    },
    /// What the hub sent did not pass a check. It is asked for again.
    RunRefused {
        /// Of which namespace.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Which check.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        fault: RunFault,
    },
    /// The log differed from the hub's. What differed was set aside, and is kept on the disk.
    SetAside {
        /// Of which namespace.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// How it differed.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        why: Divergence,
    },
    /// A namespace cannot take records. They are asked for again.
    CannotTake {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Why.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        error: ReplicaError,
    },
    /// A namespace takes records again.
    TakesAgain {
        /// Which.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
    },
    /// No room for more of a namespace's log. Reads go on.
    DiskFull {
        /// Of which namespace.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Bytes that its segments take.
        used_bytes: u64,
        /// Bytes that they can take.
        total_bytes: u64,
    },
    /// No room for more of a namespace's tree. Reads go on.
    TreeFull {
        /// Of which namespace.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
    },
    /// Memory could not be written into the tree. The namespace is opened anew.
    FlushFailed {
        /// Of which namespace.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        name: NamespaceName,
        /// Why.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        error: FlushError,
    },
    /// The hub said what time it is.
    ClockSet {
        /// Milliseconds since 1970.
        wall_ms: u64,
    },
    /// All places of a server are taken; callers are turned away.
    CallersRefused {
        /// Which.
        server: ServerKind,
        /// Most callers at a time.
        limit: usize,
    },
}

impl Event {
    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::AddressAwaited
            | Self::AddressAcquired { .. }
            | Self::DiskOpened { .. }
            | Self::NamespaceOpened { .. }
            | Self::HubReached { .. }
            | Self::CatchingUp { .. }
            | Self::UpToDate { .. }
            | Self::TakesAgain { .. }
            | Self::ClockSet { .. } => Severity::Info,
            Self::AddressLost
            | Self::HubAway { .. }
            | Self::Waiting { .. }
            | Self::RunRefused { .. }
            | Self::CallersRefused { .. }
            | Self::HoleFound { .. } => Severity::Warning,
            Self::DiskMissing
            | Self::DiskFailed { .. }
            | Self::DiskRefused { .. }
            | Self::DamageFound { .. }
            | Self::TreeMadeAnew { .. }
            | Self::NamespaceFailed { .. }
            | Self::SetAside { .. }
            | Self::CannotTake { .. }
            | Self::DiskFull { .. }
            | Self::TreeFull { .. }
            | Self::FlushFailed { .. } => Severity::Error,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressAwaited => f.write_str("no address yet, asking a DHCP server"),
            Self::AddressAcquired { address } => write!(f, "address {address}"),
            Self::AddressLost => f.write_str("no address any more"),
            Self::DiskOpened { formatted: true } => f.write_str("blank disk divided and opened"),
            Self::DiskOpened { formatted: false } => f.write_str("disk opened"),
            Self::DiskRefused { error } => write!(f, "the disk is not used: {error}"),
            Self::DiskFailed { error } => write!(f, "the disk failed, opening it again: {error}"),
            Self::DiskMissing => f.write_str("no disk; attach one and start again"),
            Self::NamespaceOpened { name, applied, replayed } => {
                write!(f, "namespace {name} opened at {applied}, {replayed} records replayed")
            }
            Self::DamageFound { name, segments, lost_tails, gaps } => write!(
                f,
                "namespace {name}: the log was damaged: {segments} damaged segments, {lost_tails} \
                 lost tails, {gaps} gaps; what they held is kept aside and fetched again"
            ),
            Self::HoleFound { name } => write!(
                f,
                "namespace {name}: the log was cut at a hole, as a power cut leaves it, or rot; what \
                 lay behind is kept aside and fetched again"
            ),
            Self::TreeMadeAnew { name } => {
                write!(f, "namespace {name}: the tree was damaged, made anew from the log")
            }
            Self::NamespaceFailed { name, failure } => {
                write!(f, "namespace {name} cannot be opened, trying on: {failure}")
            }
            Self::HubReached { hub } => write!(f, "connected to {hub}"),
            Self::HubAway { hub, reason, next_in_ms } => {
                write!(f, "not connected to {hub}: {reason}; trying again in {next_in_ms} ms")
            }
            Self::CatchingUp { name, behind } => {
                write!(f, "namespace {name} is {behind} records behind")
            }
            Self::UpToDate { name, applied } => {
                write!(f, "namespace {name} is up to date at {applied}")
            }
            Self::Waiting { name, reason } => write!(f, "namespace {name} waits: {reason}"),
            Self::RunRefused { name, fault } => {
                write!(f, "namespace {name}: records refused, asked again: {fault}")
            }
            Self::SetAside { name, why } => {
                write!(f, "namespace {name} differed from the hub's and was set aside: {why}")
            }
            Self::CannotTake { name, error } => {
                write!(f, "namespace {name} cannot take records: {error}")
            }
            Self::TakesAgain { name } => write!(f, "namespace {name} takes records again"),
            Self::DiskFull { name, used_bytes, total_bytes } => write!(
                f,
                "namespace {name}: the disk is full, {used_bytes} of {total_bytes} bytes; \
                 {DISK_FULL_ADVICE}"
            ),
            Self::TreeFull { name } => {
                write!(
                    f,
                    "namespace {name}: the tree's part of the disk is full; {DISK_FULL_ADVICE}"
                )
            }
            Self::FlushFailed { name, error } => write!(f, "namespace {name}: {error}"),
            Self::ClockSet { wall_ms } => write!(f, "the hub's clock says {wall_ms} ms"),
            Self::CallersRefused { server, limit } => {
                write!(f, "{server:?} callers are turned away, the limit is {limit}")
            }
        }
    }
}

/// What a person does about a full disk.
pub(crate) const DISK_FULL_ADVICE: &str =
    "attach a larger blank disk, on which this node follows from the start; reads go on";
