//! What is left of a run whose connection was cut.

use super::Follower;
use super::receive::Step;
use super::slot::Table;
use crate::inbox::Memory;
use crate::messages::Run;
use crate::run;
use unison_base::frame::Frames;

impl<M: Memory, T: Table> Follower<M, T> {
    /// The namespace whose run has begun to come in.
    pub(super) fn partial_run(&self) -> Option<u32> {
        let (run, _) = Run::open(self.inbox.pending()).ok()?;
        self.slot(run.namespace).filter(|slot| slot.is_following()).map(|_| run.namespace)
    }

    /// Hands out the whole frames of a run that was cut off, after the same checks as any run.
    pub(super) fn salvage(&mut self) -> Option<Step> {
        let Some(namespace) = self.partial_of.take() else {
            self.inbox.clear();
            self.inbox.rest();
            return None;
        };
        let (run, frames_at) = Run::open(self.inbox.pending()).ok()?;
        let frames = self.inbox.pending().get(frames_at..)?;
        let mut whole = Frames::new(frames);
        let count = whole.by_ref().take_while(Result::is_ok).count();
        let bytes = whole.consumed();
        let part = Run {
            count: u32::try_from(count).ok()?,
            frame_bytes: u32::try_from(bytes).ok()?,
            ..run
        };
        let end = self.slot(namespace)?.end();
        let checked = run::check(&part, frames.get(..bytes)?, end, end.cursor.log).ok()?;
        self.inbox.consume(frames_at.saturating_add(bytes));
        Some(self.take_run(&part, bytes, &checked))
    }
}
