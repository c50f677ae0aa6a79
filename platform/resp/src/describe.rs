//! `COMMAND`: the table as clients ask for it.

use crate::output::Output;
use crate::parse::Command;
use crate::refusal::unknown_subcommand;
use crate::table::{self, COMMANDS, Spec};
use alloc::vec::Vec;

/// Answers `COMMAND` and its subcommands.
pub fn command(command: &Command<'_, '_>, output: &mut Output) {
    let named = command.arguments_from(2);
    match command.argument(1).to_ascii_lowercase().as_slice() {
        b"" => info_of_all(output),
        b"count" => output.count(COMMANDS.len() as u64),
        b"list" => {
            output.array(COMMANDS.len());
            COMMANDS.iter().for_each(|spec| output.bulk(spec.name.as_bytes()));
        }
        b"info" if command.len() == 2 => info_of_all(output),
        b"info" => {
            output.array(named.len());
            for name in named {
                match table::find(name) {
                    Some(spec) => info(output, spec),
                    None => output.null_array(),
                }
            }
        }
        b"docs" if command.len() == 2 => docs(output, &COMMANDS.iter().collect::<Vec<_>>()),
        b"docs" => docs(output, &named.filter_map(table::find).collect::<Vec<_>>()),
        other => unknown_subcommand(output, other, "COMMAND"),
    }
}

fn info_of_all(output: &mut Output) {
    output.array(COMMANDS.len());
    COMMANDS.iter().for_each(|spec| info(output, spec));
}

/// Name, arity, flags, keys, then what nothing is said about: categories, tips, key
/// specifications, subcommands.
fn info(output: &mut Output, spec: &Spec) {
    output.array(10);
    output.bulk(spec.name.as_bytes());
    output.integer(spec.arity.into());
    output.array(spec.flags().len());
    spec.flags().iter().for_each(|flag| output.simple(flag));
    let (first, last, step) = spec.keys;
    [first, last, step].into_iter().for_each(|number| output.integer(number.into()));
    (0..4).for_each(|_| output.array(0));
}

fn docs(output: &mut Output, specs: &[&Spec]) {
    output.map(specs.len());
    for spec in specs {
        output.bulk(spec.name.as_bytes());
        output.map(2);
        for text in ["summary", spec.summary, "group", spec.group()] {
            output.bulk(text.as_bytes());
        }
    }
}
