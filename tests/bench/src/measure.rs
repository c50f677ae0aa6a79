//! Timing: medians over repetitions, percentiles within one.

use std::path::Path;
use std::time::{Duration, Instant};

/// What every suite is given.
pub(crate) struct Setting<'a> {
    /// Where to put files.
    pub(crate) root: &'a Path,
    /// Repetitions.
    pub(crate) reps: usize,
    /// Number of distinct keys.
    pub(crate) keys: u64,
}

impl Setting<'_> {
    /// The median of `reps` runs.
    pub(crate) fn median(
        &self,
        mut run: impl FnMut() -> anyhow::Result<f64>,
    ) -> anyhow::Result<f64> {
        let mut figures = (0..self.reps.max(1)).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
        figures.sort_by(f64::total_cmp);
        Ok(figures[figures.len() / 2])
    }

    /// A fresh directory below the root.
    pub(crate) fn dir(&self) -> anyhow::Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(self.root)?)
    }
}

/// Seconds that `work` takes.
pub(crate) fn seconds(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64())
}

/// Latencies of single operations.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Runs and times one operation.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.0.push(started.elapsed());
        result
    }

    /// Takes those of another thread in.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Microseconds below which `percent` of the operations lie.
    pub(crate) fn micros(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let index = self.0.len().saturating_sub(1) * percent / 100;
        self.0.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}
