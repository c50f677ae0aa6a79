//! Commands that only look: the same outside of a transaction and inside.

use std::time::Instant;

use unison_linux::store::{Namespace, Reader};
use unison_resp::output::Output;
use unison_resp::parse::Command;
use unison_resp::reads::Looked;

use super::Session;
use crate::resp::server::Shared;

/// Answers a command by what it finds.
pub(in crate::resp) type Look = fn(&mut Looking<'_>, &Command<'_, '_>);

/// Small steps between two looks at the clock.
const STEPS: u32 = 256;

/// What a command looks at, and where its answer goes.
pub(in crate::resp) struct Looking<'l> {
    pub(super) reader: &'l Reader,
    pub(super) output: &'l mut Output,
    pub(super) server: &'l Shared,
    pub(super) namespace: &'l Namespace,
    pub(super) time: Time,
}

/// How long a look may take.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::resp) struct Time {
    until: Option<Instant>,
    steps: u32,
    /// It is over, and the answer is not whole.
    pub(super) is_over: bool,
}

impl Time {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { until: Some(deadline), ..Self::default() }
    }

    /// Whether there is time for a further step.
    pub(super) fn goes_on(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS) {
            self.is_over |= self.until.is_some_and(|until| Instant::now() > until);
        }
        !self.is_over
    }
}

impl Looking<'_> {
    pub(super) fn count(&self, looked: Looked) {
        self.server.node.metrics.hits.inc_by(looked.hits);
        self.server.node.metrics.misses.inc_by(looked.misses);
    }
}

impl Session {
    /// Answers at once.
    pub(super) fn look(&mut self, look: Look, command: &Command<'_, '_>) {
        let reader = self.reader();
        let Self { output, server, namespace, .. } = self;
        let time = Time::default();
        look(&mut Looking { reader: &reader, output, server, namespace, time }, command);
    }

    /// The same where it may take its time.
    pub(super) async fn look_aside(&mut self, look: Look, command: &Command<'_, '_>) {
        let (reader, kept) = (self.reader(), command.keep());
        let (server, namespace) = (self.server.clone(), self.namespace.clone());
        let mut output = std::mem::take(&mut self.output);
        let protocol = output.protocol;
        let answered = tokio::task::spawn_blocking(move || {
            let (server, namespace, time) = (&*server, &*namespace, Time::default());
            let there = &mut output;
            let mut looking = Looking { reader: &reader, output: there, server, namespace, time };
            look(&mut looking, &kept.command());
            output
        });
        match answered.await {
            Ok(output) => self.output = output,
            Err(_) => self.answers_are_lost(protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{STEPS, Time};
    use std::time::Instant;

    #[test]
    fn a_look_has_no_limit_unless_it_is_given_one() {
        let mut time = Time::default();
        assert!((0..10 * STEPS).all(|_| time.goes_on()));
        let mut time = Time::until(Instant::now());
        let steps = (0..).take_while(|_| time.goes_on()).count();
        assert!(time.is_over && !time.goes_on());
        assert!(u32::try_from(steps + 1).unwrap().is_multiple_of(STEPS));
    }
}
