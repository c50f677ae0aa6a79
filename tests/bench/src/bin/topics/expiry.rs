//! Publishing at a steady rate, while nothing expires and while everything does.

use crate::disk::Bench;
use anyhow::ensure;
use clap::{Args, ValueEnum};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use unison_engine::EngineOptions;
use unison_linux::store::Durability;

const BATCH: usize = 1_000;
const PAYLOAD: &[u8] = &[7; 64];
/// Time for what loading has made due.
const REST: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, ValueEnum)]
enum Acknowledged {
    /// After a sync
    Always,
    /// When the operating system has it
    Interval,
}

/// How many messages expire, and what is published meanwhile.
#[derive(Args)]
pub(crate) struct Expiry {
    /// Messages that expire
    #[arg(long, default_value_t = 500_000)]
    messages: usize,
    /// Topics that they are in
    #[arg(long, default_value_t = 10_000)]
    topics: usize,
    /// Messages published a second, one at a time
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Seconds from the beginning until the first message expires; loading must be over by then
    #[arg(long, default_value_t = 30)]
    until: u64,
    /// Seconds in which all of them expire
    #[arg(long, default_value_t = 10)]
    within: u64,
    /// Seconds of each measurement without anything due
    #[arg(long, default_value_t = 10)]
    calm: u64,
    /// Most seconds to wait until their space is back
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// When a message is acknowledged
    #[arg(long, value_enum, default_value = "always")]
    acknowledged: Acknowledged,
}

/// Latencies from when each message was due, so that a stall counts for all that waited.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn show(&mut self, what: &str) {
        self.0.sort_unstable();
        let at = |thousandth: usize| {
            let index = self.0.len().saturating_sub(1) * thousandth / 1_000;
            self.0.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        let (p50, p99, p999, worst) = (at(500), at(990), at(999), at(1_000));
        println!(
            "{what}: {} messages, p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, \
             longest {worst:.2} ms",
            self.0.len(),
        );
    }
}

impl Expiry {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let durability = match self.acknowledged {
            Acknowledged::Always => Durability::Always,
            Acknowledged::Interval => Durability::Interval { every: Duration::from_millis(100) },
        };
        let options = EngineOptions { removal_delay_ms: 2_000, ..EngineOptions::default() };
        let bench = Bench::open(root, durability, options)?;
        let expires_ms = now_ms() + self.until * 1_000;
        self.load(&bench, expires_ms)?;
        ensure!(now_ms() + self.calm * 1_000 < expires_ms, "--until is too short for loading");
        let calm = Duration::from_secs(self.calm);
        self.publish(&bench, |passed| passed < calm)?.show("nothing due");
        while now_ms() < expires_ms {
            std::thread::sleep(Duration::from_millis(10));
        }
        let before = bench.namespace.with_engine(|engine| engine.stats().live_bytes)?;
        let patience = Duration::from_secs(self.patience);
        let began = Instant::now();
        let mut measured = Instant::now();
        let mut is_there = true;
        let mut due = self.publish(&bench, |passed| {
            if measured.elapsed() > Duration::from_secs(1) {
                measured = Instant::now();
                let live = bench.namespace.with_engine(|engine| engine.stats().live_bytes);
                // What is published meanwhile stays.
                is_there = live.is_ok_and(|live| live > before / 20);
            }
            is_there && passed < patience
        })?;
        due.show(&format!("{} messages expire", self.messages));
        println!(
            "their space was back after {:.0} s: {}",
            began.elapsed().as_secs_f64(),
            !is_there
        );
        self.publish(&bench, |passed| passed < calm)?.show("nothing due any more");
        bench.store.close()?;
        Ok(())
    }

    /// Messages over all topics, each of which expires some time within the window.
    fn load(&self, bench: &Bench, expires_ms: u64) -> anyhow::Result<()> {
        let names: Vec<_> = (0..self.topics).map(|number| format!("site/{number:06}")).collect();
        let mut topics = names.iter().cloned().cycle();
        let began = Instant::now();
        let batches = self.messages / BATCH;
        for batch in 0..batches {
            let names: Vec<_> = topics.by_ref().take(BATCH).collect();
            let within_ms = self.within * 1_000 * batch as u64 / batches as u64;
            let ttl_ms = (expires_ms + within_ms).saturating_sub(now_ms());
            bench.publish(&names, PAYLOAD, Some(ttl_ms))?;
        }
        bench.flush()?;
        let took = began.elapsed().as_secs_f64();
        println!("loaded {} messages, {:.0} a second", self.messages, self.messages as f64 / took);
        std::thread::sleep(REST);
        let (tree, log) = (bench.taken(true)?, bench.taken(false)?);
        println!("tree's file {} MB, log {} MB", tree.blocks >> 20, log.blocks >> 20);
        Ok(())
    }

    /// Publishes one message after the other at the rate, while `goes_on`.
    fn publish(
        &self,
        bench: &Bench,
        mut goes_on: impl FnMut(Duration) -> bool,
    ) -> anyhow::Result<Latencies> {
        let names: Vec<_> = (0..100).map(|number| format!("steady/{number}")).collect();
        let (mut latencies, began) = (Latencies::default(), Instant::now());
        let pause = Duration::from_secs(1) / self.rate.max(1);
        let mut due = began;
        for name in names.iter().cycle() {
            if !goes_on(began.elapsed()) {
                break;
            }
            due += pause;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            bench.publish(std::slice::from_ref(name), PAYLOAD, None)?;
            latencies.0.push(due.elapsed());
        }
        Ok(latencies)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}
