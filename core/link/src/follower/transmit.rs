//! What a follower says: derived from state when the line can take it, so nothing queues up.

use super::slot::{Slot, Table};
use super::{Follower, Phase};
use crate::beat;
use crate::inbox::Memory;
use crate::messages::{Ack, BeatItem, Bye, Hello, ProtocolRange, Want, write};
use crate::wire::{Kind, Writer};

impl<M: Memory, T: Table> Follower<M, T> {
    /// Writes whole messages to `out`, as many as fit, and returns their bytes: 0 when there is
    /// nothing to say. `out` is at least [`TRANSMIT_BYTES_MIN`](crate::TRANSMIT_BYTES_MIN) long.
    /// What it returns has to be sent, in order, or the connection closed.
    pub fn poll_transmit(&mut self, now_ms: u64, out: &mut [u8]) -> usize {
        self.clock(now_ms);
        self.ask_again_if_due();
        let mut written = 0;
        while let Some(room) = out.get_mut(written..) {
            match self.write_next(room) {
                Some(bytes) if bytes > 0 => written += bytes,
                _ => break,
            }
        }
        self.counters.sent_bytes += written as u64;
        written
    }

    fn write_next(&mut self, out: &mut [u8]) -> Option<usize> {
        match self.phase {
            Phase::Offline => None,
            Phase::Closing => self.write_bye(out),
            Phase::Greeting if self.hello_due => self.write_hello(out),
            Phase::Greeting => self.write_slot(out),
            Phase::Live if self.pulse.beat_due(self.now_ms) => self.write_beat(out),
            Phase::Live => self.write_slot(out),
        }
    }

    fn write_bye(&mut self, out: &mut [u8]) -> Option<usize> {
        let reason = self.closing.farewell?;
        let bytes = write(out, Kind::Bye, &Bye { reason: reason.encode(), retry_after_ms: 0 })?;
        self.closing.farewell = None;
        Some(bytes)
    }

    fn write_hello(&mut self, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::begin(out, Kind::Hello)?;
        let hello = Hello {
            protocol: ProtocolRange::OURS,
            node: &self.config.node,
            token: self.config.token.as_str(),
            role: self.config.role as u8,
            run_bytes_max: self.config.run_bytes_max,
            interval_ms: self.pulse.interval_ms(),
        };
        if !writer.put(&hello) {
            return None;
        }
        while let Some(number) = self.queue.first() {
            if !self.put_want(&mut writer, number) {
                break;
            }
            self.queue.pop(self.slots.as_mut());
        }
        self.hello_due = false;
        writer.finish(0)
    }

    /// Writes the request for a namespace, if one is due; false when it does not fit.
    fn put_want(&mut self, writer: &mut Writer<'_>, number: u32) -> bool {
        let Some(slot) = self.slot_mut(number).filter(|slot| slot.ask_due) else { return true };
        let want = Want {
            namespace: number,
            ask: slot.ask_number().wrapping_add(1),
            name: slot.name().as_str(),
            cursor: slot.end().cursor,
            window_bytes: slot.window_bytes(),
            filters: 0,
        };
        let fits = writer.put(&want);
        if fits {
            slot.asked();
        }
        fits
    }

    fn write_slot(&mut self, out: &mut [u8]) -> Option<usize> {
        loop {
            let number = self.queue.first()?;
            let bytes = match self.slot(number) {
                Some(slot) if slot.ask_due => self.write_follow(out, number)?,
                Some(slot) if slot.ack_due => write_ack(out, number, slot)?,
                _ => 0,
            };
            if let Some(slot) = self.slot_mut(number) {
                slot.ack_due = false;
            }
            self.queue.pop(self.slots.as_mut());
            if bytes > 0 {
                return Some(bytes);
            }
        }
    }

    fn write_follow(&mut self, out: &mut [u8], number: u32) -> Option<usize> {
        let mut writer = Writer::begin(out, Kind::Follow)?;
        if !self.put_want(&mut writer, number) {
            return None;
        }
        writer.finish(0)
    }

    fn write_beat(&mut self, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::begin(out, Kind::Beat)?;
        let mut pulse = self.pulse.clone();
        if !writer.put(&pulse.beat(self.hlc, self.now_ms)) {
            return None;
        }
        self.put_durable(&mut writer);
        self.pulse = pulse;
        self.inbox.rest();
        writer.finish(0)
    }

    /// Adds what changed since the last beat; when nothing did, as many as keep the beat small, a
    /// different part each time.
    fn put_durable(&mut self, writer: &mut Writer<'_>) {
        let head_bytes = writer.bytes();
        for (namespace, slot) in (0..).zip(self.slots.as_mut()) {
            let changed = slot.beat_due && slot.is_following();
            if changed && writer.put(&BeatItem { namespace, durable: slot.durable() }) {
                slot.beat_due = false;
            }
        }
        if writer.bytes() == head_bytes {
            let following = |number| self.slot(number).filter(|slot| slot.is_following());
            let mut from = self.beat_from;
            beat::put_some(writer, self.count(), &mut from, |number| {
                following(number).map(Slot::durable)
            });
            self.beat_from = from;
        }
    }
}

fn write_ack(out: &mut [u8], namespace: u32, slot: &Slot) -> Option<usize> {
    let ack = Ack {
        namespace,
        durable: slot.durable(),
        applied: slot.applied(),
        taken_bytes: slot.taken_bytes(),
        window_bytes: slot.window_bytes(),
    };
    write(out, Kind::Ack, &ack)
}
