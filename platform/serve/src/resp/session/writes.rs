//! Commands that join the run.

use unison_engine::Condition;
use unison_resp::parse::Command;

use super::{Instead, Later};
use crate::resp::run::{Answer, Run};

pub(in crate::resp) fn set<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    let (key, value) = (command.argument(1), command.argument(2));
    let options = SetOptions::of(command)?;
    let answer = if options.previous { Answer::Previous } else { Answer::Ok };
    if options.previous && options.condition == Condition::Absent {
        return Err(Instead::Wait(Later::SetAbsentAndGet));
    }
    run.put(key, value, options.condition, answer);
    Ok(())
}

struct SetOptions {
    condition: Condition,
    previous: bool,
}

impl SetOptions {
    fn of(command: &Command<'_, '_>) -> Result<Self, Instead> {
        let mut options = Self { condition: Condition::Always, previous: false };
        for option in command.arguments_from(3) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            match options.condition {
                Condition::Always if is("NX") => options.condition = Condition::Absent,
                Condition::Always if is("XX") => options.condition = Condition::Present,
                Condition::Absent if is("NX") => {}
                Condition::Present if is("XX") => {}
                _ if is("GET") => options.previous = true,
                _ if ["EX", "PX", "EXAT", "PXAT", "KEEPTTL"].into_iter().any(is) => {
                    let why = "keys do not expire here: SET takes NX, XX and GET";
                    return Err(Instead::Refuse(why.to_owned()));
                }
                _ => return Err(Instead::Refuse("syntax error".to_owned())),
            }
        }
        Ok(options)
    }
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
