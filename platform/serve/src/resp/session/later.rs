//! Commands that wait for something else than an acknowledgement.

use std::time::Duration;

use unison_resp::parse::{Command, number};

use super::Session;

/// The longest `WAIT`, also when it asks to wait for ever.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// A command that waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::resp) enum Later {
    Exec,
    Info,
    Wait,
}

impl Session {
    pub(super) async fn wait_for(&mut self, later: Later, command: &Command<'_, '_>) {
        match later {
            Later::Exec => self.exec().await,
            Later::Info => self.info(command).await,
            Later::Wait => self.wait(command).await,
        }
    }

    async fn wait(&mut self, command: &Command<'_, '_>) {
        let parse = |index| number(command.argument(index)).and_then(|n| u64::try_from(n).ok());
        let (Some(wanted), Some(timeout_ms)) = (parse(1), parse(2)) else {
            return self.output.err("value is not an integer or out of range");
        };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let asked = Duration::from_millis(timeout_ms);
        let patience = if asked.is_zero() { WAIT_MAX } else { asked.min(WAIT_MAX) };
        let node = std::sync::Arc::clone(&self.server.node);
        let (name, lsn) = (self.namespace.name().clone(), self.last_written);
        tokio::select! {
            () = node.health.held_by(wanted, &name, lsn) => {}
            () = tokio::time::sleep(patience) => {}
            () = node.shutdown.begun() => {}
        }
        self.output.count(node.health.holding(&name, lsn) as u64);
    }
}
