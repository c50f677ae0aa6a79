//! `EXEC`: tried until it is done, or until it is clear that it will not be.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use unison_base::Lsn;
use unison_engine::WriteError;
use unison_linux::store::Acknowledged;
use unison_resp::transactions::ABORTED;

use super::execution::{Ended, Execution};
use super::replies::Replies;
use crate::resp::run::refuse;
use crate::resp::session::Session;

/// How long it waits for room before its client is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// First pause between two tries; doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(16);

impl Session {
    pub(in crate::resp::session) async fn exec(&mut self) {
        let Some(multi) = self.multi.take() else {
            return self.output.err("EXEC without MULTI");
        };
        let watched = std::mem::take(&mut self.watched);
        if multi.queue.is_refused() {
            return self.output.error(ABORTED);
        }
        // A namespace that was dropped, or made anew, has none of the keys that were watched.
        let same = Weak::ptr_eq(&self.watched_in, &Arc::downgrade(&self.namespace)) && !self.gone;
        if !watched.is_empty() && !same {
            return self.output.null_array();
        }
        if self.gone {
            let name = self.namespace.name();
            return self.output.err(format_args!("namespace {name} was dropped"));
        }
        let (server, namespace) = (self.server.clone(), self.namespace.clone());
        let nothing = server.node.replies.share();
        let share = std::mem::replace(&mut self.replies, nothing);
        let replies = Replies::new(std::mem::take(&mut self.output), share);
        let execution = Execution::new(server, namespace, multi.queue, watched, replies);
        self.carry_out(execution).await;
    }

    async fn carry_out(&mut self, mut execution: Execution) {
        let (deadline, mut pause) = (Instant::now() + PATIENCE, FIRST_PAUSE);
        loop {
            let (done, acknowledged) = oneshot::channel();
            let protocol = execution.protocol();
            let turn = execution.turn().await;
            let tried = if execution.is_brief() {
                Ok(execution.run(turn, done))
            } else {
                tokio::task::spawn_blocking(move || execution.run(turn, done)).await
            };
            let Ok((after, result)) = tried else { return self.answers_are_lost(protocol) };
            execution = after;
            match result {
                Err(Ended::Write(WriteError::Busy(_))) if Instant::now() < deadline => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
                Err(ended) => return self.take_back(execution, &ended),
                Ok(None) => return self.take(execution.into_replies()),
                Ok(Some(lsn)) => return self.await_sync(execution, lsn, acknowledged).await,
            }
        }
    }

    /// Waits until what was written cannot be lost any more.
    async fn await_sync(
        &mut self,
        execution: Execution,
        lsn: Lsn,
        acknowledged: oneshot::Receiver<Acknowledged>,
    ) {
        let lost = match acknowledged.await {
            Ok(Err(lost)) if lost.kept < lsn => Some(lost.error),
            Ok(_) => None,
            Err(_) => Some(WriteError::Closed),
        };
        match lost {
            Some(error) => self.take_back(execution, &Ended::Write(error)),
            None => {
                self.last_written = lsn;
                self.take(execution.into_replies());
            }
        }
    }

    fn take(&mut self, replies: Replies) {
        (self.output, self.replies) = replies.into_parts();
    }

    /// Answers that nothing of it has happened, and why.
    fn take_back(&mut self, execution: Execution, ended: &Ended) {
        let mut replies = execution.into_replies();
        replies.take_back();
        self.take(replies);
        match ended {
            Ended::Write(error) => refuse(error, &mut self.output),
            Ended::Changed => self.output.null_array(),
            Ended::Read(_) | Ended::TooMuch(_) | Ended::TooLong => self.output.err(ended),
        }
    }
}
