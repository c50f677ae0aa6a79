//! Many seeds, all faults.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use unison_sim::fleet::{self, Options, Tally};

/// Seeds on every commit; `UNISON_SEEDS` asks for more, `UNISON_SEED` begins elsewhere.
const SEEDS: u64 = 500;
const THREADS: u64 = 2;

fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[derive(Default)]
struct Sum {
    tally: Tally,
    simulated_ms: u64,
    converged_ms: u64,
    records: u64,
    broken: Vec<String>,
}

#[test]
fn fleets_keep_every_promise_whatever_fails() {
    let (from, began) = (asked("UNISON_SEED", 0), Instant::now());
    let until = from + asked("UNISON_SEEDS", SEEDS);
    let (next, sum) = (AtomicU64::new(from), Mutex::new(Sum::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| run_all(&next, until, &sum));
        }
    });
    let Sum { tally, simulated_ms, converged_ms, records, broken } = sum.into_inner().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let simulated = std::time::Duration::from_millis(simulated_ms).as_secs();
    println!("{} seeds, {simulated} s simulated in {seconds:.0} s", until - from);
    println!("{records} records; agreed {converged_ms} ms after the last fault at the latest");
    println!("{tally}");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // A fault or a rung that never happens would prove nothing.
    let never = tally.never();
    assert!(never.is_empty() || until - from < SEEDS, "never happened: {never:?}");
}

fn run_all(next: &AtomicU64, until: u64, sum: &Mutex<Sum>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= until {
            return;
        }
        let outcome = fleet::run(&Options::new(seed));
        let mut sum = sum.lock().unwrap();
        sum.tally.add(&outcome.tally);
        sum.simulated_ms += outcome.simulated_ms;
        sum.converged_ms = sum.converged_ms.max(outcome.converged_ms);
        sum.records += outcome.records;
        if outcome.records == 0 {
            sum.broken.push(format!("seed {seed}: not a single record was durable"));
        }
        if let Some(breach) = outcome.breach {
            let again = format!("cargo run -p unison-sim --bin sim -- --seed {seed} --trace");
            sum.broken.push(format!("seed {seed}: {breach}\n  again: {again}"));
        }
    }
}
