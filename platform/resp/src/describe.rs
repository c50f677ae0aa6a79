//! `COMMAND`: the table as clients ask for it.

use crate::glob;
use crate::output::Output;
use crate::parse::Command;
use crate::refusal::refuse_subcommand;
use crate::table::{self, COMMANDS, Spec};
use alloc::vec::Vec;

/// Answers `COMMAND` and its subcommands.
pub fn command(command: &Command<'_, '_>, output: &mut Output) {
    let named = command.arguments_from(2);
    match command.argument(1).to_ascii_lowercase().as_slice() {
        b"" => info_of_all(output),
        b"count" if command.len() == 2 => output.count(COMMANDS.len() as u64),
        b"list" => list(command, output),
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
        b"getkeys" if command.len() > 2 => keys(command, output),
        _ => refuse_subcommand(output, command, &["count", "docs", "getkeys", "info", "list"]),
    }
}

/// Names of all commands, or of those that a pattern matches. There are neither modules nor categories.
fn list(command: &Command<'_, '_>, output: &mut Output) {
    let pattern = command.argument(4);
    let filter = command.argument(3).to_ascii_lowercase();
    let wanted: fn(&Spec, &[u8]) -> bool = match (filter.as_slice(), command.len()) {
        (_, 2) => |_, _| true,
        (b"pattern", 5) => |spec, pattern| glob::matches(pattern, spec.name.as_bytes()),
        (b"module" | b"aclcat", 5) => |_, _| false,
        _ => return output.err("syntax error"),
    };
    let named: Vec<&Spec> = COMMANDS.iter().filter(|spec| wanted(spec, pattern)).collect();
    output.array(named.len());
    named.iter().for_each(|spec| output.bulk(spec.name.as_bytes()));
}

/// The keys of the command that is given, name and all.
fn keys(command: &Command<'_, '_>, output: &mut Output) {
    let words = command.arguments_from(2);
    let Some(spec) = table::find(command.argument(2)) else {
        return output.err("Invalid command specified");
    };
    if spec.keys.0 == 0 {
        return output.err("The command has no key arguments");
    }
    if !spec.takes(words.len()) {
        return output.err("Invalid number of arguments specified for command");
    }
    let keys = spec.positions_of_keys(words.len());
    let named = words.enumerate().filter(|(position, _)| keys.contains(position));
    let named: Vec<&[u8]> = named.map(|(_, key)| key).collect();
    output.array(named.len());
    named.iter().for_each(|key| output.bulk(key));
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
