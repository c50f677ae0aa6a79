//! What a machine says, as it says it.

use crate::decode::{Entry, Stream};
use crate::table::Table;
use anyhow::bail;
use std::fs::File;
use std::io::{Read, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A message and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) entry: Entry,
}

impl Line {
    pub(crate) fn has(&self, part: &str) -> bool {
        self.entry.text.contains(part)
    }
}

#[derive(Debug, Default)]
struct Heard {
    lines: Vec<Line>,
    ended: bool,
}

/// The lines of one machine so far.
#[derive(Debug, Default)]
pub(crate) struct Uart {
    heard: Mutex<Heard>,
    changed: Condvar,
}

impl Uart {
    /// Listens on a thread until the other side closes. Raw bytes also go to `raw`.
    pub(crate) fn listen(
        mut source: impl Read + Send + 'static,
        table: Arc<Table>,
        mut raw: File,
    ) -> Arc<Self> {
        let uart = Arc::new(Self::default());
        let listener = Arc::clone(&uart);
        std::thread::spawn(move || {
            let mut stream = Stream::new(table);
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                let at = Instant::now();
                // The file is for a person to look at; the lines are what counts.
                let _ = raw.write_all(&buffer[..count]);
                stream.received(&buffer[..count]);
                let lines = stream.by_ref().map(|entry| Line { at, entry });
                listener.lock().lines.extend(lines);
                listener.changed.notify_all();
            }
            listener.lock().ended = true;
            listener.changed.notify_all();
        });
        uart
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lock().lines.clone()
    }

    /// The first line that has one of `parts` in it, from line number `from` on; waits for it.
    pub(crate) fn wait(
        &self,
        from: usize,
        parts: &[&str],
        within: Duration,
    ) -> anyhow::Result<Line> {
        let wanted = |line: &&Line| parts.iter().any(|part| line.has(part));
        let deadline = Instant::now() + within;
        let mut heard = self.lock();
        loop {
            if let Some(line) = heard.lines.iter().skip(from).find(wanted) {
                return Ok(line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || heard.ended {
                bail!("{parts:?} was not said; what was said:\n{}", shown(&heard.lines));
            }
            let waited = self.changed.wait_timeout(heard, left);
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The last lines, for an error.
pub(crate) fn shown(lines: &[Line]) -> String {
    let last = lines.len().saturating_sub(40);
    lines[last..].iter().map(|line| format!("  {}\n", line.entry)).collect()
}
