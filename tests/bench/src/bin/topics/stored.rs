//! Bytes of topics and messages, and how fast they come into the tree.

use crate::disk::{Bench, Taken};
use clap::Args;
use std::path::Path;
use std::time::Instant;
use unison_engine::EngineOptions;
use unison_linux::store::Durability;

const BATCH: usize = 1_000;

/// How many messages of how many topics.
#[derive(Args)]
pub(crate) struct Stored {
    /// Messages
    #[arg(long, default_value_t = 1_000_000)]
    messages: usize,
    /// Topics
    #[arg(long, default_value_t = 1_000)]
    topics: usize,
    /// Bytes of each payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
}

impl Stored {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let bench = Bench::open(root, Durability::Never, EngineOptions::default())?;
        let names: Vec<_> = (0..self.topics).map(|number| format!("site/{number:06}")).collect();
        let payload = vec![7; self.payload];
        let began = Instant::now();
        let mut topics = names.iter().cloned().cycle();
        for _ in 0..self.messages / BATCH {
            let batch: Vec<_> = topics.by_ref().take(BATCH).collect();
            bench.publish(&batch, &payload, None)?;
        }
        let published = began.elapsed().as_secs_f64();
        bench.flush()?;
        let flushed = began.elapsed().as_secs_f64();
        println!(
            "{} messages of {} B in {} topics: published in {published:.1} s, {:.0} a second with \
             all flushes",
            self.messages,
            self.payload,
            self.topics,
            self.messages as f64 / flushed,
        );
        show(&bench, self.messages, "message")?;
        bench.store.close()?;
        Ok(())
    }
}

/// Topics with one message each.
pub(crate) fn small(topics: usize, root: &Path) -> anyhow::Result<()> {
    let bench = Bench::open(root, Durability::Never, EngineOptions::default())?;
    let names: Vec<_> = (0..topics).map(|number| format!("t/{number:06}")).collect();
    for names in names.chunks(BATCH) {
        bench.publish(names, b"21.5", None)?;
    }
    bench.flush()?;
    show(&bench, topics, "topic")?;
    bench.store.close()?;
    drop(bench);
    let began = Instant::now();
    let bench = Bench::open(root, Durability::Never, EngineOptions::default())?;
    println!("opened again in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    show(&bench, topics, "topic")?;
    bench.store.close()?;
    Ok(())
}

fn show(bench: &Bench, count: usize, what: &str) -> anyhow::Result<()> {
    let each = |bytes: u64| bytes / count.max(1) as u64;
    let line = |name: &str, taken: Taken| {
        println!("{name}: {} B a {what}, {} B of blocks", each(taken.length), each(taken.blocks));
    };
    line("tree's file", bench.taken(true)?);
    line("log", bench.taken(false)?);
    let (live, used) = bench.namespace.with_engine(|engine| {
        let tail = engine.tail();
        let before = u64::from(tail.segment.0.saturating_sub(1)) * engine.options().segment_bytes;
        (engine.stats().live_bytes, before + u64::from(tail.offset))
    })?;
    println!("log without what is made ahead: {} B, live in it {} B", each(used), each(live));
    Ok(())
}
