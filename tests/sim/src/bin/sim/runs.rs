//! Many seeds on a few threads, a bar while they run, a table behind them.

use crate::options::Arguments;
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use unison_sim::fleet::{self, Outcome, Tally};

/// Failing seeds that are told of in full.
const TOLD_MAX: usize = 10;

#[derive(Default)]
struct Sum {
    tally: Tally,
    seeds: u64,
    simulated_ms: u64,
    records: u64,
    log_bytes: u64,
    slowest_ms: u64,
    failures: Vec<String>,
}

impl Sum {
    fn take(&mut self, outcome: &Outcome, arguments: &Arguments) {
        self.tally.add(&outcome.tally);
        self.seeds += 1;
        self.simulated_ms += outcome.simulated_ms;
        self.records += outcome.records;
        self.log_bytes += outcome.log_bytes;
        self.slowest_ms = self.slowest_ms.max(outcome.converged_ms);
        if let Some(breach) = &outcome.breach {
            self.failures.push(arguments.failure(outcome.seed, breach));
        }
    }

    fn table(&self, took: Duration) -> String {
        let simulated = Duration::from_millis(self.simulated_ms).as_secs_f64();
        let rate = simulated / took.as_secs_f64().max(0.001);
        format!(
            "{} seeds in {:.1} s, {simulated:.0} s simulated: {rate:.0} s a second\n\
             {} records, {} MB of log; all agreed {:.1} s after the last fault at the latest\n{}",
            self.seeds,
            took.as_secs_f64(),
            self.records,
            self.log_bytes / 1_000_000,
            Duration::from_millis(self.slowest_ms).as_secs_f64(),
            self.tally,
        )
    }
}

/// Runs all seeds; a broken promise is a failure.
pub(crate) fn all(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let (next, sum) = (AtomicU64::new(arguments.seeds.start), Mutex::new(Sum::default()));
    let count = arguments.seeds.end.saturating_sub(arguments.seeds.start);
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds {eta} {msg}") {
        bar.set_style(style);
    }
    // A panic in a fleet is a finding, told with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| work(arguments, &next, &sum, &bar));
        }
    });
    bar.finish_and_clear();
    let Ok(sum) = sum.into_inner() else { return ExitCode::FAILURE };
    crate::say(&sum.table(began.elapsed()));
    sum.failures.iter().take(TOLD_MAX).for_each(|failure| crate::say(failure));
    if sum.failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    crate::say(&format!("{} of {} seeds broke a promise", sum.failures.len(), sum.seeds));
    ExitCode::FAILURE
}

fn work(arguments: &Arguments, next: &AtomicU64, sum: &Mutex<Sum>, bar: &ProgressBar) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= arguments.seeds.end {
            return;
        }
        let outcome = fleet::run(&arguments.options(seed));
        if let Some(breach) = &outcome.breach {
            bar.println(format!("seed {seed}: {breach}"));
        }
        if let Ok(mut sum) = sum.lock() {
            sum.take(&outcome, arguments);
            bar.set_message(format!("{} failed", sum.failures.len()));
        }
        bar.inc(1);
    }
}
