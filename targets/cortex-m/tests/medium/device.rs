//! A device in memory that knows what was synced.

use std::sync::{Arc, Mutex};
use unison_cortex_m::medium::{Device, SECTOR_BYTES};
use unison_ports::IoError;

/// Clones are the same device.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Mutex<Contents>>);

struct Contents {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Sectors that differ, maybe.
    dirty: Vec<usize>,
    /// What every moment would leave, when asked for.
    moments: Option<Vec<Moment>>,
}

/// The device before a write or a sync.
#[derive(Clone)]
pub(crate) struct Moment {
    synced: Vec<u8>,
    /// Sectors that were not synced, and what was in them.
    pending: Vec<(usize, Vec<u8>)>,
}

const SECTOR: usize = SECTOR_BYTES as usize;

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").field("bytes", &self.now.len()).finish_non_exhaustive()
    }
}

impl Moment {
    /// What a cut at this moment leaves: of each sector that was not synced so many new bytes as `keep`
    /// says, and behind them what was there before.
    pub(crate) fn cut(&self, keep: &mut dyn FnMut() -> usize) -> Memory {
        let mut bytes = self.synced.clone();
        for (sector, contents) in &self.pending {
            let kept = keep().min(contents.len());
            bytes[sector * SECTOR..][..kept].copy_from_slice(&contents[..kept]);
        }
        Memory::of(bytes)
    }
}

impl Memory {
    pub(crate) fn new(bytes: u64) -> Self {
        Self::of(vec![0; bytes as usize])
    }

    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        let synced = bytes.clone();
        Self(Arc::new(Mutex::new(Contents {
            now: bytes,
            synced,
            dirty: Vec::new(),
            moments: None,
        })))
    }

    pub(crate) fn after_a_cut(&self, keep: &mut dyn FnMut() -> usize) -> Self {
        self.0.lock().unwrap().moment().cut(keep)
    }

    pub(crate) fn record_moments(&self) {
        self.0.lock().unwrap().moments = Some(Vec::new());
    }

    pub(crate) fn take_moments(&self) -> Vec<Moment> {
        self.0.lock().unwrap().moments.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Contents {
    fn moment(&self) -> Moment {
        let sector = |&sector: &usize| {
            let end = ((sector + 1) * SECTOR).min(self.now.len());
            (sector, self.now[sector * SECTOR..end].to_vec())
        };
        Moment { synced: self.synced.clone(), pending: self.dirty.iter().map(sector).collect() }
    }

    fn note(&mut self) {
        if self.moments.is_some() {
            let moment = self.moment();
            self.moments.iter_mut().for_each(|moments| moments.push(moment.clone()));
        }
    }
}

impl Device for Memory {
    fn bytes(&self) -> u64 {
        self.0.lock().unwrap().now.len() as u64
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let contents = self.0.lock().unwrap();
        let bytes = contents.now.get(offset as usize..).ok_or(IoError::OutOfBounds)?;
        buffer.copy_from_slice(bytes.get(..buffer.len()).ok_or(IoError::OutOfBounds)?);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut contents = self.0.lock().unwrap();
        contents.note();
        let end = offset as usize + bytes.len();
        contents
            .now
            .get_mut(offset as usize..end)
            .ok_or(IoError::OutOfBounds)?
            .copy_from_slice(bytes);
        for sector in offset as usize / SECTOR..end.div_ceil(SECTOR) {
            if !contents.dirty.contains(&sector) {
                contents.dirty.push(sector);
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        let mut contents = self.0.lock().unwrap();
        contents.note();
        for sector in std::mem::take(&mut contents.dirty) {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(contents.now.len());
            let bytes = contents.now[range.clone()].to_vec();
            contents.synced[range].copy_from_slice(&bytes);
        }
        Ok(())
    }
}
