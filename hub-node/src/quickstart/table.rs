//! The live table: where the hub is and how far each edge is behind.

use super::fleet::{Fleet, Standing};
use super::node::Node;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Without a terminal a table is printed this often.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// State between two refreshes: what rates are computed from.
pub(crate) struct Table {
    bars: Option<Vec<indicatif::ProgressBar>>,
    before: Vec<Option<(Instant, u64)>>,
    printed: Instant,
}

impl Table {
    /// A table over the fleet's nodes, drawn in place on a terminal.
    pub(crate) fn new(fleet: &Fleet) -> Self {
        let rows = 1 + fleet.edges.len();
        let bars = std::io::stderr().is_terminal().then(|| rows_in_place(rows));
        Self { bars, before: vec![None; rows], printed: Instant::now() }
    }

    /// Asks every node and shows the answers.
    pub(crate) fn refresh(&mut self, fleet: &Fleet) {
        let due = self.bars.is_some() || self.printed.elapsed() >= PLAIN_EVERY;
        if !due {
            return;
        }
        self.printed = Instant::now();
        let hub = Fleet::standing(&fleet.hub);
        let hub_lsn = hub.map_or(0, |standing| standing.durable);
        for (index, node) in nodes(fleet).enumerate() {
            let standing = if index == 0 { hub } else { Fleet::standing(node) };
            let line = row(node, standing, hub_lsn, self.rate(index, standing));
            match self.bars.as_ref().and_then(|bars| bars.get(index)) {
                Some(bar) => bar.set_message(line),
                None => println!("{line}"),
            }
        }
    }

    fn rate(&mut self, index: usize, standing: Option<Standing>) -> f64 {
        let now = standing.map(|standing| (Instant::now(), standing.applied));
        let before = self.before.get_mut(index).and_then(|slot| std::mem::replace(slot, now));
        match (before, now) {
            (Some((then, from)), Some((now, to))) if now > then => {
                to.saturating_sub(from) as f64 / (now - then).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// Takes the table off the terminal.
    pub(crate) fn finish(&self) {
        self.bars.iter().flatten().for_each(indicatif::ProgressBar::finish_and_clear);
    }

    /// One table of this moment, without rates.
    pub(crate) fn snapshot(fleet: &Fleet) -> String {
        let hub_lsn = Fleet::standing(&fleet.hub).map_or(0, |standing| standing.durable);
        nodes(fleet).fold(String::new(), |mut text, node| {
            let _ = writeln!(text, "{}", row(node, Fleet::standing(node), hub_lsn, 0.0));
            text
        })
    }
}

fn nodes(fleet: &Fleet) -> impl Iterator<Item = &Node> {
    std::iter::once(&fleet.hub).chain(&fleet.edges)
}

fn rows_in_place(rows: usize) -> Vec<indicatif::ProgressBar> {
    let area = indicatif::MultiProgress::new();
    let style = indicatif::ProgressStyle::with_template("{msg}");
    (0..rows)
        .map(|_| {
            let bar = area.add(indicatif::ProgressBar::new_spinner());
            if let Ok(style) = &style {
                bar.set_style(style.clone());
            }
            bar
        })
        .collect()
}

fn row(node: &Node, standing: Option<Standing>, hub_lsn: u64, rate: f64) -> String {
    let Some(standing) = standing else { return format!("{:7} away", node.name) };
    let behind = hub_lsn.saturating_sub(standing.applied);
    let lag_ms = standing.lag_ms;
    format!(
        "{:7} LSN {:>8}  behind {behind:>6} records {lag_ms:>6} ms  {rate:>8.0} records/s",
        node.name, standing.applied
    )
}
