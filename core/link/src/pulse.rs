//! Liveness: when to beat, how long the round trip is, when the peer counts as dead.

use crate::messages::{Beat, Echo};
use unison_base::Hlc;

/// Longest interval a peer may announce, milliseconds: beyond it, its silence is noticed anyway.
const INTERVAL_MS_MAX: u32 = 60_000;
/// Intervals of silence after which a peer is dead.
const SILENT_INTERVALS_MAX: u64 = 3;
/// One part in so many of the way to a longer round trip is gone at each sample.
const SLOWER_PARTS: u64 = 8;
/// The same for a shorter one: after a stall, beats are few, and a long silence is not noticed.
const FASTER_PARTS: u64 = 2;

/// Times of a link, milliseconds unless named otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between beats while the round trip is short; it grows to twice the round trip.
    pub beat_ms: u32,
    /// From the connection to the end of the handshake.
    pub handshake_ms: u32,
    /// Shortest wait before a namespace that was refused is asked for again.
    pub ask_again_min_ms: u32,
    /// Longest such wait.
    pub ask_again_max_ms: u32,
    /// Shortest wait before the next connection.
    pub reconnect_min_ms: u32,
    /// Longest such wait.
    pub reconnect_max_ms: u32,
    /// Longest wait a peer may ask for.
    pub retry_after_max_ms: u32,
    /// Slowest link on which a message that began counts as still coming, bytes per second.
    pub slowest_bytes_per_second: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat_ms: 5_000,
            handshake_ms: 20_000,
            ask_again_min_ms: 1_000,
            ask_again_max_ms: 15_000,
            reconnect_min_ms: 200,
            reconnect_max_ms: 60_000,
            retry_after_max_ms: 3_600_000,
            slowest_bytes_per_second: 500,
        }
    }
}

/// Liveness of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    timing: Timing,
    opened_ms: u64,
    heard_ms: u64,
    greeted: bool,
    beat_at_ms: u64,
    peer_interval_ms: u32,
    peer_time: Option<(u64, u64)>,
    rtt_ms: Option<u32>,
    word_ms: u64,
    message_since_ms: Option<(u64, usize)>,
}

impl Pulse {
    pub(crate) fn new(timing: Timing, now_ms: u64) -> Self {
        Self {
            timing,
            opened_ms: now_ms,
            heard_ms: now_ms,
            greeted: false,
            beat_at_ms: now_ms,
            peer_interval_ms: timing.beat_ms,
            peer_time: None,
            rtt_ms: None,
            word_ms: now_ms,
            message_since_ms: None,
        }
    }

    /// Smoothed round trip; `None` before the first beat came back.
    pub(crate) const fn rtt_ms(&self) -> Option<u32> {
        self.rtt_ms
    }

    /// The peer's newest beat, or else its first message, was sent no earlier than then: what it
    /// answers was sent then, however long it was on the way itself.
    pub(crate) const fn word_ms(&self) -> u64 {
        self.word_ms
    }

    /// Age at which a peer's word no longer says how it is now. Unlike the patience it does not grow
    /// with the round trip, since silence may not pass for good news.
    pub(crate) fn word_holds_ms(&self) -> u64 {
        SILENT_INTERVALS_MAX * u64::from(self.timing.beat_ms.max(1))
    }

    /// Milliseconds between own beats.
    pub(crate) fn interval_ms(&self) -> u32 {
        let scaled = self.rtt_ms.unwrap_or(0).saturating_mul(2);
        let least = self.timing.beat_ms.max(1);
        least.max(scaled).min(INTERVAL_MS_MAX.max(least))
    }

    /// Bytes came.
    pub(crate) fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
    }

    /// The peer introduced itself: from here on beats go both ways, the first one at once.
    pub(crate) fn greeted(&mut self, peer_interval_ms: u32, now_ms: u64) {
        self.greeted = true;
        self.beat_at_ms = now_ms;
        self.peer_interval_ms = peer_interval_ms.min(INTERVAL_MS_MAX);
    }

    /// A message of `bytes` has begun and is not whole.
    pub(crate) fn message_open(&mut self, bytes: usize, now_ms: u64) {
        let since_ms = self.message_since_ms.map_or(now_ms, |(since_ms, _)| since_ms);
        self.message_since_ms = Some((since_ms, bytes));
    }

    /// No message is open.
    pub(crate) fn message_done(&mut self) {
        self.message_since_ms = None;
    }

    pub(crate) fn beat_heard(&mut self, beat: &Beat, now_ms: u64) {
        self.peer_time = Some((beat.time_ms, now_ms));
        self.peer_interval_ms = beat.interval_ms.min(INTERVAL_MS_MAX);
        let Some(echo) = beat.echo else { return };
        let sent_ms = echo.time_ms.saturating_add(u64::from(echo.held_ms)).min(now_ms);
        self.word_ms = self.word_ms.max(sent_ms);
        let sample = (now_ms - sent_ms).min(u64::from(INTERVAL_MS_MAX));
        let smoothed = self.rtt_ms.map_or(sample, |old| smooth(u64::from(old), sample));
        self.rtt_ms = u32::try_from(smoothed).ok();
    }

    /// True when a beat is due.
    pub(crate) const fn beat_due(&self, now_ms: u64) -> bool {
        self.greeted && now_ms >= self.beat_at_ms
    }

    /// The head of a beat sent now; the next one is due an interval later.
    pub(crate) fn beat(&mut self, hlc: Hlc, now_ms: u64) -> Beat {
        let interval_ms = self.interval_ms();
        self.beat_at_ms = now_ms.saturating_add(u64::from(interval_ms));
        let echo = self.peer_time.map(|(time_ms, heard_ms)| Echo {
            time_ms,
            held_ms: u32::try_from(now_ms.saturating_sub(heard_ms)).unwrap_or(u32::MAX),
        });
        Beat { time_ms: now_ms, echo, hlc, interval_ms }
    }

    fn dead_at_ms(&self) -> u64 {
        if !self.greeted {
            return self.opened_ms.saturating_add(u64::from(self.timing.handshake_ms));
        }
        self.heard_ms.saturating_add(self.patience_ms())
    }

    /// Three intervals; until the round trip is known, at least the time of a handshake.
    fn patience_ms(&self) -> u64 {
        let intervals_ms = SILENT_INTERVALS_MAX * u64::from(self.longest_interval_ms());
        let handshake_ms = u64::from(self.timing.handshake_ms);
        if self.rtt_ms.is_none() { intervals_ms.max(handshake_ms) } else { intervals_ms }
    }

    fn longest_interval_ms(&self) -> u32 {
        self.interval_ms().max(self.peer_interval_ms)
    }

    fn stalled_at_ms(&self) -> Option<u64> {
        let (since_ms, bytes) = self.message_since_ms?;
        let slowest = u64::from(self.timing.slowest_bytes_per_second.max(1));
        let transfer_ms = (bytes as u64).saturating_mul(1_000) / slowest;
        Some(since_ms.saturating_add(self.patience_ms()).saturating_add(transfer_ms))
    }

    /// True when the peer has been silent too long.
    pub(crate) fn is_dead(&self, now_ms: u64) -> bool {
        now_ms >= self.dead_at_ms()
    }

    /// True when a message has been coming too long.
    pub(crate) fn is_stalled(&self, now_ms: u64) -> bool {
        self.stalled_at_ms().is_some_and(|at_ms| now_ms >= at_ms)
    }

    /// When something here is due next.
    pub(crate) fn deadline_ms(&self) -> u64 {
        let dead = self.dead_at_ms().min(self.stalled_at_ms().unwrap_or(u64::MAX));
        if self.greeted { dead.min(self.beat_at_ms) } else { dead }
    }
}

const fn smooth(old: u64, sample: u64) -> u64 {
    let parts = if sample < old { FASTER_PARTS } else { SLOWER_PARTS };
    (old * (parts - 1) + sample) / parts
}

#[cfg(test)]
mod tests;
