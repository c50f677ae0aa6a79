//! The random number device.

use super::probe::Device;
use super::requests::Requests;
use super::{CommonFeatures, DeviceError};
use virtio_drivers::transport::Transport;

/// A started device.
pub(crate) struct Entropy(Requests);

impl Entropy {
    /// Starts the device.
    pub(crate) fn start(mut device: Device) -> Result<Self, DeviceError> {
        let _ = device.transport.begin_init(CommonFeatures::VERSION_1);
        Requests::start(device).map(Self)
    }

    /// Fills `seed`. The device may give less than is asked, so it is asked again.
    pub(crate) fn fill(&mut self, seed: &mut [u8]) -> Result<(), DeviceError> {
        let mut rest = seed;
        while !rest.is_empty() {
            let given = self.0.exchange(&[], &mut [rest])?;
            rest = match rest.get_mut(given..) {
                Some(rest) if given > 0 => rest,
                _ => return Err(DeviceError::Silent),
            };
        }
        Ok(())
    }
}
