//! Commands that join the run.

use unison_engine::Condition;
use unison_resp::expiry::{Lifetime, Unit};
use unison_resp::parse::Command;

use super::{Instead, expiry};
use crate::resp::run::{Answer, Run};

pub(in crate::resp) fn set<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    let pair = (command.argument(1), command.argument(2));
    let options = SetOptions::of(command).map_err(Instead::Refuse)?;
    let answer = if options.previous { Answer::Previous } else { Answer::Ok };
    if options.keeps_expiry || (options.previous && options.condition == Condition::Absent) {
        return Err(Instead::Change(expiry::set));
    }
    run.put_for(options.lifetime, pair, options.condition, answer);
    Ok(())
}

/// What a command is told that cannot be understood.
pub(super) const SYNTAX: &str = "syntax error";

/// What `SET` is asked beside key and value.
#[derive(Clone, Copy)]
pub(super) struct SetOptions {
    pub(super) condition: Condition,
    pub(super) previous: bool,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) keeps_expiry: bool,
}

impl SetOptions {
    /// The options, or why they are none.
    pub(super) fn of(command: &Command<'_, '_>) -> Result<Self, String> {
        let condition = Condition::Always;
        let mut options = Self { condition, previous: false, lifetime: None, keeps_expiry: false };
        let mut time: Option<(Unit, &[u8])> = None;
        let mut words = command.arguments_from(3);
        while let Some(word) = words.next() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            match (options.condition, Unit::of_option(word)) {
                (Condition::Always | Condition::Absent, None) if is("NX") => {
                    options.condition = Condition::Absent;
                }
                (Condition::Always | Condition::Present, None) if is("XX") => {
                    options.condition = Condition::Present;
                }
                (_, None) if is("GET") => options.previous = true,
                (_, None) if is("KEEPTTL") && time.is_none() => options.keeps_expiry = true,
                (_, Some(unit)) if !options.keeps_expiry && is_unit_of(time, unit) => {
                    time = Some((unit, words.next().ok_or(SYNTAX)?));
                }
                _ => return Err(SYNTAX.to_owned()),
            }
        }
        options.lifetime = time.map(|(unit, text)| lifetime(unit, text, "set")).transpose()?;
        Ok(options)
    }
}

/// Whether a time may be given in this unit: once more in the same one is no contradiction, and the
/// last counts.
fn is_unit_of(before: Option<(Unit, &[u8])>, unit: Unit) -> bool {
    before.is_none_or(|(before, _)| before == unit)
}

fn lifetime(unit: Unit, text: &[u8], command: &'static str) -> Result<Lifetime, String> {
    let lifetime = unit.lifetime(text, command).and_then(|time| time.positive(command));
    lifetime.map_err(|error| error.to_string())
}

pub(in crate::resp) fn setex<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    let (unit, name) = match command.argument(0).first() {
        Some(b'p' | b'P') => (Unit::Milliseconds, "psetex"),
        _ => (Unit::Seconds, "setex"),
    };
    let lifetime = lifetime(unit, command.argument(2), name).map_err(Instead::Refuse)?;
    let pair = (command.argument(1), command.argument(3));
    run.put_for(Some(lifetime), pair, Condition::Always, Answer::Ok);
    Ok(())
}

pub(in crate::resp) fn setnx<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    run.put(command.argument(1), command.argument(2), Condition::Absent, Answer::Done);
    Ok(())
}

pub(in crate::resp) fn getset<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    run.put(command.argument(1), command.argument(2), Condition::Always, Answer::Previous);
    Ok(())
}

pub(in crate::resp) fn getdel<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    run.delete(command.argument(1), Answer::Previous);
    Ok(())
}

pub(in crate::resp) fn del<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    run.delete_all(command.arguments_from(1));
    Ok(())
}

pub(in crate::resp) fn mset<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    if command.len().is_multiple_of(2) {
        return Err(Instead::Refuse("wrong number of arguments for 'mset' command".to_owned()));
    }
    let keys = command.arguments_from(1).step_by(2);
    run.put_all(keys.zip(command.arguments_from(2).step_by(2)));
    Ok(())
}

pub(in crate::resp) fn publish<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    let Ok(topic) = std::str::from_utf8(command.argument(1)) else {
        return Err(Instead::Refuse("the name of a topic is text".to_owned()));
    };
    run.publish(topic, command.argument(2));
    Ok(())
}
