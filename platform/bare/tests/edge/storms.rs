//! Everything at once, from a seed: whatever happened, a node that is left alone holds what its hub
//! holds, and what it had on its disk before a power cut it has afterwards.

use crate::hub::{Hub, Log};
use crate::reply::Reply;
use crate::wire::Weather;
use crate::world::{RESP, World};
use std::collections::BTreeMap;
use unison_base::prng::Prng;
use unison_sim::blocks::CrashBlocks;

const SEEDS: u64 = 8;
const TURNS: u64 = 60;

struct Storm {
    world: World,
    prng: Prng,
    model: BTreeMap<String, Vec<u8>>,
    /// The log of a hub that is down.
    down: Option<Log>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let (world, prng) = (World::new(), Prng::new(seed));
        Self { world, prng, model: BTreeMap::new(), down: None }
    }

    fn write(&mut self) {
        for _ in 0..self.prng.below(80) {
            let key = format!("key:{:03}", self.prng.below(400));
            let mut value = vec![0; self.prng.between(1, 1_500) as usize];
            self.prng.fill(&mut value);
            if let Some(hub) = &mut self.world.hub {
                hub.put(key.as_bytes(), &value);
                self.model.insert(key, value);
            }
        }
    }

    fn hub_dies(&mut self) {
        if let Some(hub) = self.world.hub.take() {
            self.down = Some(hub.die(&mut self.world.peer));
        }
    }

    fn hub_returns(&mut self) {
        if let Some(log) = self.down.take() {
            self.world.hub = Some(Hub::again(log, &mut self.world.peer));
        }
    }

    fn weather(&mut self) {
        let weather = Weather {
            lost_percent: self.prng.below(15),
            repeated_percent: self.prng.below(15),
            late_percent: self.prng.below(30),
            late_ms: self.prng.below(400),
        };
        self.world.wire.set_weather(weather);
    }

    fn power_cut(&mut self) {
        let before = self.world.durable();
        let cuts = CrashBlocks::CUTS;
        let cut = cuts[self.prng.below(cuts.len() as u64) as usize];
        let seed = self.prng.next_u64();
        self.world.power_cut(cut, seed);
        let open = self.world.until(10_000, |world| world.durable().is_some());
        assert!(open, "{:#?}", self.world.events);
        assert!(self.world.durable() >= before, "{cut:?} {before:?}");
    }

    fn turn(&mut self) {
        match self.prng.below(10) {
            0..=3 => self.write(),
            4 => self.hub_dies(),
            5 => self.hub_returns(),
            6 => self.weather(),
            7 => self.power_cut(),
            8 => self.world.wire.cut(true),
            _ => self.world.wire.cut(false),
        }
        let ms = self.prng.below(2_000);
        self.world.pass(ms);
    }

    fn calm(&mut self) {
        self.hub_returns();
        self.world.wire.cut(false);
        self.world.wire.set_weather(Weather::default());
        self.world.pass(130_000);
        self.world.catch_up();
    }

    fn assert_same(&mut self) {
        let world = &mut self.world;
        assert_eq!(world.ask("DBSIZE"), Reply::Integer(self.model.len() as i64));
        let mut caller = world.call(RESP);
        for (key, value) in &self.model {
            assert_eq!(caller.ask(world, &format!("GET {key}")), Reply::Bulk(value.clone()));
        }
        caller.leave(world);
        assert_eq!(world.status()["ready"], true);
    }
}

#[test]
fn a_node_that_is_left_alone_holds_what_its_hub_holds() {
    for seed in 1..=SEEDS {
        let mut storm = Storm::new(seed);
        for _ in 0..TURNS {
            storm.turn();
        }
        storm.calm();
        storm.assert_same();
    }
}
