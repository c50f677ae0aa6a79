//! What the hub does by the clock.

use super::{Desk, Stop};
use crate::fleet::model::Change;
use crate::fleet::outcome::Promise;

impl Desk<'_> {
    /// Ends transactions that took too long, or that lost a record.
    pub(super) fn tend(&mut self) -> Result<(), Stop> {
        let wall_ms = self.wall_ms;
        let (result, made) = self.call(&[], |engine| engine.tend_transactions(wall_ms));
        self.note(Vec::new(), made, true)?;
        self.staged |= made > 0;
        result.map(|_| ()).map_err(Stop::Refused)
    }

    /// Says what has expired.
    pub(super) fn expire(&mut self) -> Result<(), Stop> {
        let wall_ms = self.wall_ms;
        let (result, made) = self.call(&[], |engine| engine.expire(wall_ms));
        match result.map_err(Stop::Refused)? {
            Some(_) => {
                self.note(Vec::new(), made - 1, false)?;
                self.write_down(Change::Raise(wall_ms));
                Ok(())
            }
            None => self.nothing_is_due(),
        }
    }

    fn nothing_is_due(&self) -> Result<(), Stop> {
        let (by_log, by_clock) = (self.model.now(0), self.at());
        if self.model.counts(by_log) == self.model.counts(by_clock) {
            return Ok(());
        }
        let detail = format!("something has expired at {}, and it says nothing", self.wall_ms);
        Err(Stop::Broken(Promise::Expiry, detail))
    }
}
