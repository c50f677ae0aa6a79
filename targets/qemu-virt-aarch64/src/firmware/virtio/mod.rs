//! Drivers of the machine's virtio devices, over their queues: none allocates after its start, and
//! none is waited for by spinning.

mod disk;
mod entropy;
mod memory;
mod network;
mod packets;
mod probe;
mod requests;

pub(crate) use disk::Disk;
pub(crate) use entropy::Entropy;
pub(crate) use network::Network;
pub(crate) use probe::{Device, Devices, probe};

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    /// The driver library's reason.
    #[error("{0}")]
    Driver(#[from] virtio_drivers::Error),
    /// It gave no answer in time, or one that makes no sense, and was switched off.
    #[error("the device does not answer and was switched off")]
    Silent,
    /// It refused the request, with this status.
    #[error("the device refused the request with status {0}")]
    Refused(u8),
}

bitflags::bitflags! {
    /// Features of a device, those that are the same for all kinds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct CommonFeatures: u64 {
        /// The interface since version 1.0.
        const VERSION_1 = 1 << 32;
    }
}
