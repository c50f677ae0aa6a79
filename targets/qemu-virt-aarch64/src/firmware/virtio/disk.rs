//! The block device.

use super::DeviceError;
use super::probe::Device;
use super::requests::Requests;
use spin::Mutex;
use unison_bare::block::{BlockDevice, SECTOR_BYTES};
use unison_ports::IoError;
use virtio_drivers::transport::Transport;

/// Largest transfer in one request, bytes. A whole number of sectors.
const TRANSFER_BYTES_MAX: usize = 1 << 20;

/// `IoError::Device` for a device that no longer answers; others are the device's own status.
const SILENT: i32 = -1;

const STATUS_OK: u8 = 0;

bitflags::bitflags! {
    /// What the driver asks of the device.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const READ_ONLY = 1 << 5;
        /// It has a cache of its own, and empties it when asked. Without this every write is durable.
        const FLUSH = 1 << 9;
        const VERSION_1 = 1 << 32;
    }
}

/// First word of a request.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Kind {
    Read = 0,
    Write = 1,
    Flush = 4,
}

/// A started disk.
pub(crate) struct Disk {
    requests: Mutex<Requests>,
    sectors: u64,
    features: Features,
}

impl Disk {
    /// Starts the device.
    pub(crate) fn start(mut device: Device) -> Result<Self, DeviceError> {
        let features = device.transport.begin_init(Features::all());
        let sectors = sectors(&device.transport)?;
        let requests = Mutex::new(Requests::start(device)?);
        Ok(Self { requests, sectors, features })
    }

    /// Whether writes need a flush to become durable.
    pub(crate) fn is_cached(&self) -> bool {
        self.features.contains(Features::FLUSH)
    }

    fn check(&self, sector: u64, bytes: usize) -> Result<(), IoError> {
        let end = sector.checked_add((bytes / SECTOR_BYTES) as u64);
        let inside =
            bytes.is_multiple_of(SECTOR_BYTES) && end.is_some_and(|end| end <= self.sectors);
        if inside { Ok(()) } else { Err(IoError::OutOfBounds) }
    }

    /// One request. `parts` puts data between the header and the status.
    fn ask(
        &self,
        kind: Kind,
        sector: u64,
        exchange: impl FnOnce(&mut Requests, &[u8], &mut [u8]) -> Result<usize, DeviceError>,
    ) -> Result<(), IoError> {
        let header = header(kind, sector);
        let mut status = [u8::MAX];
        let answered = exchange(&mut self.requests.lock(), &header, &mut status);
        match (answered, status) {
            (Ok(_), [STATUS_OK]) => Ok(()),
            (Ok(_), [status]) => Err(failed(kind, sector, DeviceError::Refused(status))),
            (Err(error), _) => Err(failed(kind, sector, error)),
        }
    }
}

impl BlockDevice for Disk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.check(sector, buffer.len())?;
        for (sector, part) in starts(sector).zip(buffer.chunks_mut(TRANSFER_BYTES_MAX)) {
            self.ask(Kind::Read, sector, |requests, header, status| {
                requests.exchange(&[header], &mut [part, status])
            })?;
        }
        Ok(())
    }

    fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        if self.features.contains(Features::READ_ONLY) {
            return Err(IoError::ReadOnly);
        }
        self.check(sector, bytes.len())?;
        for (sector, part) in starts(sector).zip(bytes.chunks(TRANSFER_BYTES_MAX)) {
            self.ask(Kind::Write, sector, |requests, header, status| {
                requests.exchange(&[header, part], &mut [status])
            })?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), IoError> {
        if !self.is_cached() {
            return Ok(());
        }
        self.ask(Kind::Flush, 0, |requests, header, status| {
            requests.exchange(&[header], &mut [status])
        })
    }
}

/// First sectors of the transfers of one call.
fn starts(sector: u64) -> impl Iterator<Item = u64> {
    (sector..).step_by(TRANSFER_BYTES_MAX / SECTOR_BYTES)
}

/// `[kind: u32][reserved: u32][sector: u64]`, little-endian.
fn header(kind: Kind, sector: u64) -> [u8; 16] {
    let [kind, sector] = [u64::from(kind as u32), sector].map(u64::to_le_bytes);
    let mut header = [0; 16];
    header[..8].copy_from_slice(&kind);
    header[8..].copy_from_slice(&sector);
    header
}

fn failed(kind: Kind, sector: u64, error: DeviceError) -> IoError {
    let what = match kind {
        Kind::Read => "read",
        Kind::Write => "write",
        Kind::Flush => "flush",
    };
    defmt::error!(
        "disk: {=str} at sector {=u64} failed: {}",
        what,
        sector,
        defmt::Display2Format(&error)
    );
    match error {
        DeviceError::Refused(status) => IoError::Device(status.into()),
        DeviceError::Driver(_) | DeviceError::Silent => IoError::Device(SILENT),
    }
}

/// The configuration begins with the number of sectors.
fn sectors(transport: &impl Transport) -> Result<u64, DeviceError> {
    let sectors = transport.read_consistent(|| {
        let [low, high] =
            [transport.read_config_space::<u32>(0)?, transport.read_config_space::<u32>(4)?];
        Ok(u64::from(high) << 32 | u64::from(low))
    });
    Ok(sectors?)
}
