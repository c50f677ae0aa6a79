//! Two network devices with a wire between them that may lose, repeat and delay frames.

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use unison_base::prng::Prng;

/// Between the two ends, milliseconds.
const LATENCY_MS: u64 = 1;

/// What happens to frames, in percent, and how much later than the others some arrive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) lost_percent: u64,
    pub(crate) repeated_percent: u64,
    pub(crate) late_percent: u64,
    pub(crate) late_ms: u64,
}

const NODE_SIDE: usize = 0;

/// Frames on their way, by when they arrive and in which order they were sent.
type Frames = BTreeMap<(u64, u64), Vec<u8>>;

struct State {
    ways: [Frames; 2],
    weather: Weather,
    cut: bool,
    /// What the node sends is lost.
    node_is_mute: bool,
    sent: u64,
    prng: Prng,
}

/// The wire.
#[derive(Clone)]
pub(crate) struct Wire(Rc<RefCell<State>>);

impl Wire {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            ways: Default::default(),
            weather: Weather::default(),
            cut: false,
            node_is_mute: false,
            sent: 0,
            prng: Prng::new(seed),
        })))
    }

    /// One end: 0 or 1.
    pub(crate) fn end(&self, side: usize) -> End {
        End { wire: self.clone(), side }
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.0.borrow_mut().weather = weather;
    }

    /// Pulls the plug, or puts it back.
    pub(crate) fn cut(&self, cut: bool) {
        let mut state = self.0.borrow_mut();
        state.cut = cut;
        state.ways = Default::default();
    }

    /// From now on what the node sends is lost, or no longer.
    pub(crate) fn mute_node(&self, mute: bool) {
        self.0.borrow_mut().node_is_mute = mute;
    }

    /// When the next frame arrives.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let state = self.0.borrow();
        state.ways.iter().filter_map(|way| way.keys().next()).map(|(at_ms, _)| *at_ms).min()
    }

    fn put(&self, side: usize, now_ms: u64, frame: &[u8]) {
        let State { ways, weather, cut, node_is_mute, sent, prng } = &mut *self.0.borrow_mut();
        let mut strikes = |percent: u64| prng.below(100) < percent;
        let mute = *node_is_mute && side == NODE_SIDE;
        if *cut || mute || strikes(weather.lost_percent) {
            return;
        }
        let copies = 1 + u64::from(strikes(weather.repeated_percent));
        for _ in 0..copies {
            let late_ms = if strikes(weather.late_percent) { weather.late_ms } else { 0 };
            *sent += 1;
            ways[side].insert((now_ms + LATENCY_MS + late_ms, *sent), frame.to_vec());
        }
    }
}

/// One end of the wire.
pub(crate) struct End {
    wire: Wire,
    side: usize,
}

pub(crate) struct Received(Vec<u8>);
pub(crate) struct Sent(Wire, usize, u64);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Sent {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, fill: F) -> R {
        let mut frame = vec![0; bytes];
        let result = fill(&mut frame);
        self.0.put(self.1, self.2, &frame);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent;

    fn receive(&mut self, now: Instant) -> Option<(Received, Sent)> {
        let now_ms = now.total_millis() as u64;
        let mut state = self.wire.0.borrow_mut();
        let way = &mut state.ways[1 - self.side];
        let first = way.first_entry().filter(|first| first.key().0 <= now_ms)?;
        let frame = first.remove();
        drop(state);
        Some((Received(frame), Sent(self.wire.clone(), self.side, now_ms)))
    }

    fn transmit(&mut self, now: Instant) -> Option<Sent> {
        Some(Sent(self.wire.clone(), self.side, now.total_millis() as u64))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }
}
