//! Completion: commands, their flags, words of a fixed set, and names of namespaces.

use super::commands::Line;
use super::run::names;
use crate::client::Client;
use clap::{Arg, Command, CommandFactory as _};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// Commands that take the name of a namespace.
const NAMESPACE_COMMANDS: [&str; 3] = ["use", "drop", "quota"];

/// What can follow, as the grammar and the node know it.
pub(super) struct Completion {
    client: Client,
    grammar: Command,
}

impl Completion {
    pub(super) fn new(client: Client) -> Self {
        let mut grammar = Line::command();
        grammar.build();
        Self { client, grammar }
    }
}

/// Words of `words` before the last one, and what may stand in its place.
fn candidates(
    grammar: &Command,
    before: &[&str],
    namespaces: impl Fn() -> Vec<String>,
) -> Vec<String> {
    let mut command = grammar;
    for (index, word) in before.iter().enumerate() {
        match command.find_subcommand(word) {
            Some(found) => command = found,
            // `help row p`: what help is asked for are commands again.
            None if index == 0 => return Vec::new(),
            None => break,
        }
    }
    let commands = command.get_subcommands().map(|command| command.get_name().to_owned());
    let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
    let flags = flags.filter_map(|flag| flag.get_long().map(|name| format!("--{name}")));
    let mut found: Vec<String> = commands.collect();
    if NAMESPACE_COMMANDS.contains(&command.get_name()) && before.len() == 1 {
        found.extend(namespaces());
    } else if !before.is_empty() {
        found.extend(words(command).filter(|word| !before.contains(&word.as_str())));
        found.extend(flags.filter(|flag| !before.contains(&flag.as_str())));
    }
    found
}

/// What a command takes that is one of a few words.
fn words(command: &Command) -> impl Iterator<Item = String> {
    let words = command.get_positionals().flat_map(Arg::get_possible_values);
    words.map(|word| word.get_name().to_owned())
}

/// The command at the end of a line: its finished words, and where the last one begins.
fn last_command(line: &str) -> (Vec<&str>, usize) {
    let begin = line.rfind(';').map_or(0, |at| at + 1);
    let last = line.rfind([' ', ';', '\t']).map_or(0, |at| at + 1);
    let before = line.get(begin..last.max(begin)).unwrap_or_default();
    (before.split_whitespace().collect(), last)
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..position).unwrap_or_default();
        let (before, begin) = last_command(line);
        let typed = line.get(begin..).unwrap_or_default();
        let mut found = candidates(&self.grammar, &before, || names(&self.client));
        found.retain(|candidate| candidate.starts_with(typed));
        found.iter_mut().for_each(|candidate| candidate.push(' '));
        Ok((begin, found))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}

impl Validator for Completion {}

impl Helper for Completion {}

#[cfg(test)]
mod tests;
