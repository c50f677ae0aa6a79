//! What is asked on the command line.

use clap::{Parser, ValueEnum};
use std::ops::Range;
use unison_sim::fleet::{Breach, Options, Plant};

/// Fleets of a hub, relays and edges on failing disks, lines and clocks, each a function of its seed.
#[derive(Debug, Parser)]
#[command(name = "sim")]
pub(crate) struct Arguments {
    /// Seeds to run: FROM..TO.
    #[arg(long, default_value = "0..500", value_parser = range)]
    pub(crate) seeds: Range<u64>,
    /// One seed alone.
    #[arg(long, conflicts_with = "seeds")]
    pub(crate) seed: Option<u64>,
    /// Edges of a fleet.
    #[arg(long, default_value_t = 8)]
    pub(crate) edges: usize,
    /// Most relays of a fleet.
    #[arg(long, default_value_t = 2)]
    pub(crate) relays: usize,
    /// Simulated minutes with faults.
    #[arg(long, default_value_t = 5)]
    pub(crate) minutes: u64,
    /// Fleets at a time.
    #[arg(long, default_value_t = 2)]
    pub(crate) jobs: usize,
    /// Tell the story of a seed, line by line.
    #[arg(long, requires = "seed")]
    pub(crate) trace: bool,
    /// Print only each seed and the hash of its story: to compare builds and machines.
    #[arg(long, conflicts_with = "seed")]
    pub(crate) hashes: bool,
    /// Plant a bug in the world around the nodes.
    #[arg(long)]
    pub(crate) plant: Option<Bug>,
    /// What a failing run is said to be of.
    #[arg(long, default_value = option_env!("UNISON_COMMIT").unwrap_or("unknown"))]
    pub(crate) commit: String,
}

/// A bug to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bug {
    AnswerBeforeSync,
    CursorPlusOne,
    CrcUnchecked,
    StaleFrames,
    ApplyTwice,
    FlushBeforeSync,
    HideFindings,
    BusyForEver,
    LostInProcess,
    ShowPrepared,
    ForgetCommit,
    HalfCommit,
    HalfObject,
    IgnoreConditions,
    DropPatternMessage,
    ForgetRetained,
    ShowExpired,
    HideByClock,
}

impl Bug {
    const fn plant(self) -> Plant {
        match self {
            Self::AnswerBeforeSync => Plant::AnswerBeforeSync,
            Self::CursorPlusOne => Plant::CursorPlusOne,
            Self::CrcUnchecked => Plant::CrcUnchecked,
            Self::StaleFrames => Plant::StaleFrames,
            Self::ApplyTwice => Plant::ApplyTwice,
            Self::FlushBeforeSync => Plant::FlushBeforeSync,
            Self::HideFindings => Plant::HideFindings,
            Self::BusyForEver => Plant::BusyForEver,
            Self::LostInProcess => Plant::LostInProcess,
            Self::ShowPrepared => Plant::ShowPrepared,
            Self::ForgetCommit => Plant::ForgetCommit,
            Self::HalfCommit => Plant::HalfCommit,
            Self::HalfObject => Plant::HalfObject,
            Self::IgnoreConditions => Plant::IgnoreConditions,
            Self::DropPatternMessage => Plant::DropPatternMessage,
            Self::ForgetRetained => Plant::ForgetRetained,
            Self::ShowExpired => Plant::ShowExpired,
            Self::HideByClock => Plant::HideByClock,
        }
    }
}

impl Arguments {
    /// What a seed's fleet is made of.
    pub(crate) fn options(&self, seed: u64) -> Options {
        Options {
            seed,
            edges: self.edges,
            relays: self.relays,
            minutes: self.minutes,
            plant: self.plant.map(Bug::plant),
            teller: None,
        }
    }

    /// Says what was broken and how to see it again.
    pub(crate) fn failure(&self, seed: u64, breach: &Breach) -> String {
        let Self { edges, relays, minutes, commit, .. } = self;
        let plant = self.plant.and_then(|bug| bug.to_possible_value());
        let plant = plant.map(|bug| format!(" --plant {}", bug.get_name())).unwrap_or_default();
        format!(
            "seed {seed}, commit {commit}: {breach}\n  again: cargo run -p unison-sim --bin sim -- \
             --seed {seed} --edges {edges} --relays {relays} --minutes {minutes}{plant} --trace"
        )
    }
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write FROM..TO")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
    Ok(number(from)?..number(to)?)
}
