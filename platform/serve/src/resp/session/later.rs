//! Commands that wait for something else than an acknowledgement.

use std::time::Duration;

use unison_resp::parse::{Command, number};
use unison_resp::reads::NOT_A_NUMBER;

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
        let Some(wanted) = number(command.argument(1)) else {
            return self.output.err(NOT_A_NUMBER);
        };
        let asked = match number(command.argument(2)).map(u64::try_from) {
            Some(Ok(timeout_ms)) => Duration::from_millis(timeout_ms),
            Some(Err(_)) => return self.output.err("timeout is negative"),
            None => return self.output.err("timeout is not an integer or out of range"),
        };
        // Below zero is no follower, which is what there always is.
        let wanted = usize::try_from(wanted).unwrap_or(0);
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
