//! Fleets from seeds: `sim --seeds 0..500` runs many, `sim --seed N --trace` tells one.

#![forbid(unsafe_code)]

mod options;
mod runs;

use clap::Parser;
use options::Arguments;
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
        println!("{seed} {:016x} {}", outcome.hash, outcome.events);
    }
    ExitCode::SUCCESS
}

/// One seed, with its story if asked.
fn one(arguments: &Arguments, seed: u64) -> ExitCode {
    let mut options = arguments.options(seed);
    options.teller = arguments.trace.then_some(|line: &str| println!("{line}"));
    let outcome = fleet::run(&options);
    println!("seed {seed}: {} events, hash {:016x}", outcome.events, outcome.hash);
    println!(
        "{} records, {} bytes of log; all agreed {} ms after the last fault",
        outcome.records, outcome.log_bytes, outcome.converged_ms
    );
    println!("{}", outcome.tally);
    match outcome.breach {
        Some(breach) => {
            println!("{}", arguments.failure(seed, &breach));
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
