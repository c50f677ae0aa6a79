//! Commands that look at values.

use unison_resp::expiry::time_to_live;
use unison_resp::parse::Command;
use unison_resp::reads::{self, Looked};

use super::Session;

impl Session {
    pub(super) fn count(&self, looked: Looked) {
        self.server.node.metrics.hits.inc_by(looked.hits);
        self.server.node.metrics.misses.inc_by(looked.misses);
    }
}

pub(in crate::resp) fn get(session: &mut Session, command: &Command<'_, '_>) {
    let looked = reads::get(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn mget(session: &mut Session, command: &Command<'_, '_>) {
    let looked = reads::multi_get(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn exists(session: &mut Session, command: &Command<'_, '_>) {
    let looked = reads::exists(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn strlen(session: &mut Session, command: &Command<'_, '_>) {
    let looked = reads::length(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn kind_of(session: &mut Session, command: &Command<'_, '_>) {
    let looked = reads::kind_of(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn ttl(session: &mut Session, command: &Command<'_, '_>) {
    let looked = time_to_live(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn getrange(session: &mut Session, command: &Command<'_, '_>) {
    let looked = reads::range(&session.reader(), command, &mut session.output);
    session.count(looked);
}
