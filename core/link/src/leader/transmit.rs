//! What a leader says: derived from state when the line can take it, so nothing queues up.

use super::served::Served;
use super::{Leader, Phase};
use crate::beat;
use crate::messages::{BeatItem, Bye, Welcome, write};
use crate::wire::{Kind, Writer};
use unison_base::Lsn;
use unison_base::limits::RUN_BYTES_MAX;

/// What the driver does next with a connection that can take bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Send so many bytes of the buffer, then ask again.
    Bytes(usize),
    /// Read a run or a seal and pass it to [`Leader::run`] or [`Leader::seal`]; or tell
    /// [`Leader::nothing_to_send`], or refuse the namespace with [`Leader::answer`]. Then ask again.
    Run {
        /// The namespace.
        namespace: u32,
        /// The first record to send.
        from: Lsn,
        /// Most bytes of whole frames; one frame may be larger.
        bytes_max: usize,
    },
    /// Nothing to do before an event, a `durable` or the timeout.
    Idle,
    /// Everything is said: close the connection.
    Close,
}

impl Leader {
    /// The next thing to do. Ask only when the connection can take bytes: what gathers in the
    /// meantime goes out as one run. `out` is at least
    /// [`TRANSMIT_BYTES_MIN`](crate::TRANSMIT_BYTES_MIN) long.
    pub fn poll_transmit(&mut self, now_ms: u64, out: &mut [u8]) -> Transmit {
        self.clock(now_ms);
        let mut written = 0;
        while let Some(room) = out.get_mut(written..) {
            match self.write_next(room) {
                Some(bytes) if bytes > 0 => written += bytes,
                _ => break,
            }
        }
        self.counters.sent_bytes += written as u64;
        match self.phase {
            _ if written > 0 => Transmit::Bytes(written),
            Phase::Closing => Transmit::Close,
            Phase::Live => self.next_run(),
            _ => Transmit::Idle,
        }
    }

    fn next_run(&mut self) -> Transmit {
        let peer_max = usize::try_from(self.peer_run_bytes_max).unwrap_or(usize::MAX);
        while let Some(namespace) = self.ready.pop_front() {
            let Some(served) = self.served_mut(namespace) else { continue };
            served.unqueued();
            if served.wants_to_send() {
                served.reading = true;
                let room = usize::try_from(served.room_bytes()).unwrap_or(usize::MAX);
                let from = served.sent().next();
                let bytes_max = room.min(RUN_BYTES_MAX).min(peer_max);
                return Transmit::Run { namespace, from, bytes_max };
            }
        }
        Transmit::Idle
    }

    fn write_next(&mut self, out: &mut [u8]) -> Option<usize> {
        match self.phase {
            Phase::Closing => self.write_bye(out),
            Phase::Live if self.welcome_due || !self.answers.is_empty() => self.write_welcome(out),
            Phase::Live if self.pulse.beat_due(self.now_ms) => self.write_beat(out),
            _ => None,
        }
    }

    fn write_bye(&mut self, out: &mut [u8]) -> Option<usize> {
        let reason = self.closing.farewell?.encode();
        let retry_after_ms = self.closing.retry_after_ms;
        let bytes = write(out, Kind::Bye, &Bye { reason, retry_after_ms })?;
        self.closing.farewell = None;
        Some(bytes)
    }

    fn write_welcome(&mut self, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::begin(out, Kind::Welcome)?;
        let welcome = Welcome {
            protocol: self.protocol,
            node: &self.config.node,
            interval_ms: self.pulse.interval_ms(),
        };
        if !writer.put(&welcome) {
            return None;
        }
        let head_bytes = writer.bytes();
        while let Some(&namespace) = self.answers.front() {
            if !self.put_answer(&mut writer, namespace) {
                break;
            }
            self.answers.pop_front();
        }
        if writer.bytes() == head_bytes && !self.welcome_due {
            return None;
        }
        self.welcome_due = false;
        writer.finish(0)
    }

    /// Writes an answer unless a newer request made it void; false when it does not fit.
    fn put_answer(&mut self, writer: &mut Writer<'_>, namespace: u32) -> bool {
        let Some(served) = self.served_mut(namespace) else { return true };
        if served.answer_item(namespace).is_some_and(|item| !writer.put(&item)) {
            return false;
        }
        served.answered();
        self.make_ready(namespace);
        true
    }

    fn write_beat(&mut self, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::begin(out, Kind::Beat)?;
        let mut pulse = self.pulse.clone();
        if !writer.put(&pulse.beat(self.hlc, self.now_ms)) {
            return None;
        }
        self.put_durable(&mut writer);
        self.pulse = pulse;
        writer.finish(0)
    }

    /// Adds what changed since the last beat; when nothing did, as many as keep the beat small, a
    /// different part each time.
    fn put_durable(&mut self, writer: &mut Writer<'_>) {
        let head_bytes = writer.bytes();
        for (namespace, served) in (0..).zip(&mut self.served) {
            let Some(served) = served.as_deref_mut().filter(|served| served.is_serving()) else {
                continue;
            };
            let item = BeatItem { namespace, durable: served.durable_lsn() };
            if served.beat_due && writer.put(&item) {
                served.beat_due = false;
            }
        }
        if writer.bytes() == head_bytes {
            let count = u32::try_from(self.served.len()).unwrap_or(u32::MAX);
            let serving = |number| self.served(number).filter(|served| served.is_serving());
            let mut from = self.beat_from;
            beat::put_some(writer, count, &mut from, |number| {
                serving(number).map(Served::durable_lsn)
            });
            self.beat_from = from;
        }
    }
}
