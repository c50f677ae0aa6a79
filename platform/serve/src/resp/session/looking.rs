//! Commands that only look: the same outside of a transaction and inside.

use unison_linux::store::{Namespace, Reader};
use unison_resp::output::Output;
use unison_resp::parse::Command;
use unison_resp::reads::Looked;

use super::Session;
use crate::resp::server::Shared;

/// Answers a command by what it finds.
pub(in crate::resp) type Look = fn(&mut Looking<'_>, &Command<'_, '_>);

/// What a command looks at, and where its answer goes.
pub(in crate::resp) struct Looking<'l> {
    pub(super) reader: &'l Reader,
    pub(super) output: &'l mut Output,
    pub(super) server: &'l Shared,
    pub(super) namespace: &'l Namespace,
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
        look(&mut Looking { reader: &reader, output, server, namespace }, command);
    }

    /// The same where it may take its time.
    pub(super) async fn look_aside(&mut self, look: Look, command: &Command<'_, '_>) {
        let (reader, kept) = (self.reader(), command.keep());
        let (server, namespace) = (self.server.clone(), self.namespace.clone());
        let mut output = std::mem::take(&mut self.output);
        let protocol = output.protocol;
        let answered = tokio::task::spawn_blocking(move || {
            let (output_there, server, namespace) = (&mut output, &*server, &*namespace);
            let mut looking = Looking { reader: &reader, output: output_there, server, namespace };
            look(&mut looking, &kept.command());
            output
        });
        match answered.await {
            Ok(output) => self.output = output,
            Err(_) => self.answers_are_lost(protocol),
        }
    }
}
