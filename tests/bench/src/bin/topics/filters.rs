//! Topics looked up in a trie of filters, beside a loop over all of them.

use anyhow::{Context as _, ensure};
use clap::Args;
use std::hint::black_box;
use std::time::Duration;
use unison_base::prng::Prng;
use unison_engine::{TopicFilter, TopicMemo, TopicTrie};

/// Topics that the loop over all filters is measured with.
const NAIVE_TOPICS: usize = 200;

/// How many filters, and how many topics are looked up.
#[derive(Args)]
pub(crate) struct Filters {
    /// Filters
    #[arg(long, default_value_t = 100_000)]
    filters: u32,
    /// Topics
    #[arg(long, default_value_t = 100_000)]
    topics: u32,
}

/// What devices of buildings report.
const KINDS: [&str; 6] = ["temperature", "door", "light", "motion", "power", "state"];

fn pick<'a>(prng: &mut Prng, texts: &[&'a str]) -> &'a str {
    let index = usize::try_from(prng.below(texts.len() as u64)).unwrap_or_default();
    texts.get(index).copied().unwrap_or_default()
}

/// `site/7/floor/3/device/4711/door`
fn topic(prng: &mut Prng) -> String {
    let (site, floor, device) = (prng.below(100), prng.below(10), prng.below(10_000));
    format!("site/{site}/floor/{floor}/device/{device}/{}", pick(prng, &KINDS))
}

/// Mostly one device or one reading of it; some of a floor, a kind, a site.
fn filter(prng: &mut Prng) -> anyhow::Result<TopicFilter> {
    let (site, floor, device) = (prng.below(100), prng.below(10), prng.below(10_000));
    let kind = pick(prng, &KINDS);
    let text = match prng.below(1_000) {
        0..500 => format!("site/{site}/floor/{floor}/device/{device}/{kind}"),
        500..800 => format!("site/{site}/floor/{floor}/device/{device}/#"),
        800..900 => format!("site/{site}/floor/+/device/{device}/{kind}"),
        900..998 => format!("site/+/floor/{floor}/device/{device}/{kind}"),
        998 => format!("site/{site}/+/+/#"),
        _ => format!("site/{site}/#"),
    };
    Ok(TopicFilter::new(&text)?)
}

impl Filters {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut prng = Prng::new(1);
        let filters: Vec<TopicFilter> =
            (0..self.filters).map(|_| filter(&mut prng)).collect::<Result<_, _>>()?;
        let topics: Vec<String> = (0..self.topics).map(|_| topic(&mut prng)).collect();
        let before = resident_bytes()?;
        let began = cpu_time()?;
        let mut trie = TopicTrie::default();
        for (number, filter) in (0_u32..).zip(&filters) {
            trie.insert(filter, number);
        }
        let built = cpu_time()?.saturating_sub(began);
        let taken = resident_bytes()?.saturating_sub(before);
        println!(
            "{} filters: built in {:.0} ms, {:.1} MB, {} B a filter",
            self.filters,
            built.as_secs_f64() * 1e3,
            taken as f64 / 1e6,
            taken / u64::from(self.filters.max(1)),
        );
        let cold = rate(&topics, |topic, found| trie.matching(topic, |_| *found += 1))?;
        memoised(&trie, &topics)?;
        let few = topics.get(..NAIVE_TOPICS.min(topics.len())).unwrap_or_default();
        let naive = rate(few, |topic, found| {
            *found += filters.iter().filter(|filter| filter.matches(topic)).count();
        })?;
        println!("the trie is {:.0} times as fast as a loop over all filters", cold / naive);
        same(&trie, &filters, few)
    }
}

/// Both find the same.
fn same(trie: &TopicTrie<u32>, filters: &[TopicFilter], topics: &[String]) -> anyhow::Result<()> {
    for topic in topics {
        let mut found = Vec::new();
        trie.matching(topic, |number| found.push(*number));
        found.sort_unstable();
        let each = (0_u32..).zip(filters).filter(|(_, filter)| filter.matches(topic));
        ensure!(each.map(|(number, _)| number).eq(found), "{topic} finds something else");
    }
    Ok(())
}

fn memoised(trie: &TopicTrie<u32>, topics: &[String]) -> anyhow::Result<()> {
    let mut memo = TopicMemo::new(topics.len() + 1);
    let numbered: Vec<(u64, &String)> = (0..).zip(topics).collect();
    for round in ["first", "second"] {
        let began = cpu_time()?;
        let mut found = 0;
        for (number, topic) in &numbered {
            found += memo.matching(trie, *number, || topic.as_str()).len();
        }
        let rate = topics.len() as f64 / cpu_time()?.saturating_sub(began).as_secs_f64();
        println!("memo, {round} look: {rate:.0} topics a second of a processor, {found} found");
    }
    Ok(())
}

/// Topics a second.
fn rate(topics: &[String], mut find: impl FnMut(&str, &mut usize)) -> anyhow::Result<f64> {
    ensure!(!topics.is_empty(), "no topics");
    let began = cpu_time()?;
    let mut found = 0;
    for topic in topics {
        find(black_box(topic), &mut found);
    }
    let rate = topics.len() as f64 / cpu_time()?.saturating_sub(began).as_secs_f64();
    println!(
        "{} topics, {found} filters found: {rate:.0} topics a second of a processor",
        topics.len()
    );
    Ok(rate)
}

/// What this thread, the only one, has had of a processor: others on the machine do not count.
fn cpu_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = stat.split_whitespace().next().context("no time on the processor")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn resident_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(kib.parse::<u64>()? << 10)
}
