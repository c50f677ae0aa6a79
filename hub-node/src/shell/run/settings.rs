//! What holds for topics.

use super::written;
use crate::client::{KeepLast, TopicRule, TopicSettings};
use crate::shell::commands::{RuleArguments, SettingsCommand};
use crate::shell::error::ShellError;
use crate::shell::output::{Cell, Style};
use crate::shell::session::Session;
use serde_json::Value;

/// What a rule does not say.
const UNSAID: &str = "-";

pub(super) fn run(session: &mut Session, command: &SettingsCommand) -> Result<(), ShellError> {
    if matches!(command, SettingsCommand::Show) {
        return show(session);
    }
    // The node takes settings as a whole, so what is not named is sent as it was.
    let mut settings = session.client.topic_settings()?;
    match command {
        SettingsCommand::Show => {}
        SettingsCommand::Ttl { time } => settings.default_ttl = Some(time.clone()),
        SettingsCommand::Rule(rule) => change_rule(&mut settings.rules, rule)?,
        SettingsCommand::Compression { how } => settings.compression = how.text().to_owned(),
        SettingsCommand::Encryption { how } => settings.encryption = how.text().to_owned(),
    }
    let lsn = session.client.set_topic_settings(&settings)?;
    written(session, lsn)
}

fn change_rule(rules: &mut Vec<TopicRule>, asked: &RuleArguments) -> Result<(), ShellError> {
    let RuleArguments { filter, change } = asked;
    let place = rules.iter().position(|rule| rule.filter == *filter);
    if change.remove {
        let absent = || ShellError::Absent { what: "rule for", key: filter.clone() };
        rules.remove(place.ok_or_else(absent)?);
        return Ok(());
    }
    let changed = |before: Option<&TopicRule>| TopicRule {
        filter: filter.clone(),
        ttl: change.ttl.clone().or_else(|| before?.ttl.clone()),
        keep_last: change.keep_last.or_else(|| before?.keep_last),
    };
    match place.and_then(|place| rules.get_mut(place)) {
        Some(rule) => *rule = changed(Some(rule)),
        None => rules.push(changed(None)),
    }
    Ok(())
}

fn show(session: &mut Session) -> Result<(), ShellError> {
    if session.output.style() == Style::Json {
        let path = session.client.within("topics/settings");
        let document: Value = session.client.get(&path)?;
        return Ok(session.output.document(&document)?);
    }
    let TopicSettings { default_ttl, compression, encryption, rules } =
        session.client.topic_settings()?;
    let default_ttl = default_ttl.unwrap_or_else(|| "never".to_owned());
    let mut table = session.output.table(["setting", "value"]);
    table.row(["ttl".into(), default_ttl.into()])?;
    table.row(["compression".into(), compression.into()])?;
    table.row(["encryption".into(), encryption.into()])?;
    table.finish()?;
    let mut table = session.output.table(["rule for", "ttl", "keep last"]);
    for TopicRule { filter, ttl, keep_last } in rules {
        let ttl = ttl.unwrap_or_else(|| UNSAID.to_owned());
        let keep_last = match keep_last {
            Some(KeepLast::Count(count)) => Cell::Number(count.into()),
            Some(KeepLast::All(_)) => "all".into(),
            None => UNSAID.into(),
        };
        table.row([filter.into(), ttl.into(), keep_last])?;
    }
    table.finish()?;
    Ok(())
}
