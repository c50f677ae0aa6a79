//! Fleets from seeds: `sim --seeds 0..500` runs many, `sim --seed N --trace` tells one.

#![forbid(unsafe_code)]

mod options;
mod runs;

use clap::Parser;
use options::Arguments;
use std::io::Write;
use std::process::ExitCode;
use unison_sim::fleet;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(&arguments, seed),
        None if arguments.hashes => hashes(&arguments),
        None => runs::all(&arguments),
    }
}

/// The stories of all seeds as numbers, which are the same in every build and on every machine.
fn hashes(arguments: &Arguments) -> ExitCode {
    for seed in arguments.seeds.clone() {
        let outcome = fleet::run(&arguments.options(seed));
        say(&format!("{seed} {:016x} {}", outcome.hash, outcome.events));
    }
    ExitCode::SUCCESS
}

/// A line for whoever still reads.
fn say(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// One seed, with its story if asked.
fn one(arguments: &Arguments, seed: u64) -> ExitCode {
    let mut options = arguments.options(seed);
    options.teller = arguments.trace.then_some(say);
    let outcome = fleet::run(&options);
    say(&format!("seed {seed}: {} events, hash {:016x}", outcome.events, outcome.hash));
    say(&format!(
        "{} records, {} bytes of log; all agreed {} ms after the last fault",
        outcome.records, outcome.log_bytes, outcome.converged_ms
    ));
    say(&outcome.tally.to_string());
    match outcome.breach {
        Some(breach) => {
            say(&arguments.failure(seed, &breach));
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
