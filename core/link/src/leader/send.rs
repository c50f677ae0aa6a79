//! Runs and seals: the driver reads them, the leader gives the bytes that go before the frames.

use super::{Leader, Phase, RunHead};
use crate::messages::{Run, Seal, write, write_run};
use crate::run::{RunRange, SealRange};
use crate::wire::Kind;
use unison_base::Lsn;

/// Why a run or a seal cannot be sent. None of them happens to a driver that sends what it was
/// asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The namespace is not served, or no longer: drop what was read.
    #[error("the namespace is not served")]
    NotServed,
    /// The records are not those that follow.
    #[error("record {expected} is due, not {found}")]
    NotDue {
        /// LSN that is due.
        expected: Lsn,
        /// LSN of the run.
        found: Lsn,
    },
    /// Some of the records are not durable.
    #[error("only records up to {durable} are durable")]
    NotDurable {
        /// Newest durable record.
        durable: Lsn,
    },
    /// One record is more than the follower can receive. Refuse the namespace with this reason.
    #[error("a run of {bytes} bytes, the follower takes {limit}")]
    TooLarge {
        /// Bytes of the run.
        bytes: u32,
        /// Most the follower takes.
        limit: u32,
    },
    /// The run holds nothing.
    #[error("an empty run")]
    Empty,
}

impl Leader {
    /// Sends a run: put the bytes this returns on the wire, then the frames themselves.
    ///
    /// # Errors
    /// [`SendError`]; nothing is to be sent then.
    pub fn run(&mut self, namespace: u32, range: &RunRange) -> Result<RunHead, SendError> {
        let limit = self.peer_run_bytes_max;
        let live = self.phase == Phase::Live;
        let served = self.served_mut(namespace).filter(|served| live && served.is_serving());
        let served = served.ok_or(SendError::NotServed)?;
        let (expected, durable) = (served.sent().next(), served.durable_lsn());
        check(range, expected, durable, limit)?;
        served.sent_run(range.last(), range.bytes);
        let run = Run {
            namespace,
            segment: range.segment,
            offset: range.offset,
            first: range.first,
            count: range.count,
            segment_bytes: range.segment_bytes,
            durable,
            frame_bytes: range.bytes,
        };
        let head = head(|out| write_run(out, &run))?;
        self.counters.runs += 1;
        self.counters.run_bytes += u64::from(range.bytes);
        self.counters.sent_bytes += head.len() as u64 + u64::from(range.bytes);
        self.make_ready(namespace);
        Ok(head)
    }

    /// Sends a seal: put the bytes this returns on the wire.
    ///
    /// # Errors
    /// [`SendError::NotServed`].
    pub fn seal(&mut self, namespace: u32, seal: &SealRange) -> Result<RunHead, SendError> {
        let live = self.phase == Phase::Live;
        let served = self.served_mut(namespace).filter(|served| live && served.is_serving());
        served.ok_or(SendError::NotServed)?.reading = false;
        let SealRange { segment, offset, next_segment_bytes } = *seal;
        let message = Seal { namespace, segment, offset, next_segment_bytes };
        let head = head(|out| write(out, Kind::Seal, &message))?;
        self.counters.sent_bytes += head.len() as u64;
        self.make_ready(namespace);
        Ok(head)
    }

    /// There was nothing to read after all; the next [`durable`](Self::durable) asks again.
    pub fn nothing_to_send(&mut self, namespace: u32) {
        if let Some(served) = self.served_mut(namespace) {
            served.reading = false;
        }
    }
}

fn check(range: &RunRange, expected: Lsn, durable: Lsn, limit: u32) -> Result<(), SendError> {
    if range.count == 0 || range.bytes == 0 {
        return Err(SendError::Empty);
    }
    if range.first != expected {
        return Err(SendError::NotDue { expected, found: range.first });
    }
    if range.last() > durable {
        return Err(SendError::NotDurable { durable });
    }
    if range.bytes > limit {
        return Err(SendError::TooLarge { bytes: range.bytes, limit });
    }
    Ok(())
}

/// The longest head fits by the bounds of its fields.
fn head(write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Result<RunHead, SendError> {
    let mut head = RunHead::new();
    let room = head.capacity();
    head.resize_default(room).map_err(|_| SendError::Empty)?;
    let bytes = write(&mut head).ok_or(SendError::Empty)?;
    head.truncate(bytes);
    Ok(head)
}
