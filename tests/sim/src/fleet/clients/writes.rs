//! Writes that need no transaction.

use super::{Desk, Stop};
use crate::fleet::Plant;
use crate::fleet::model::{Address, Change, Draft, Part, What};
use crate::fleet::outcome::Promise;
use crate::fleet::stage::{How, stage};
use crate::fleet::transaction::{expiry, is_met};
use unison_base::Lsn;
use unison_engine::{Condition, Write, WriteError};

impl Desk<'_> {
    pub(super) fn write(&mut self) -> Result<(), Stop> {
        let (sight, prng) = self.sight();
        let mut part = sight.alone(prng);
        let at = self.at();
        let condition = self.condition(&part);
        part.said = part
            .rows()
            .into_iter()
            .map(|row| match part.asked() {
                0 if part.keeps_expiry() => expiry(self.model, row, at),
                asked => asked,
            })
            .collect();
        let holds = self.holds(&part, condition);
        let leading = self.leading(&part);
        let how = How { condition, transaction: None, wall_ms: self.wall_ms };
        let asked = self.as_planted(&part);
        let (result, made) = self.call(&leading, |engine| stage(engine, &asked, how));
        match result {
            Ok(_) => {
                self.must_hold(holds, &part)?;
                self.note_all(leading, made - 1, false)?;
                self.wrote(part);
                Ok(())
            }
            Err(error) => {
                self.note(leading, made, false)?;
                self.refused(holds, &part, error)
            }
        }
    }

    /// A condition for a write.
    pub(super) fn condition(&mut self, part: &Part) -> Condition {
        let at = self.at();
        let (sight, prng) = self.sight();
        sight.condition(part, at, prng)
    }

    /// Whether a write may happen.
    fn holds(&self, part: &Part, condition: Condition) -> bool {
        let at = self.at();
        let is_met = |head| is_met(condition, part, self.model.version(head, at));
        match &part.what {
            What::DeleteMessage(id) => self.model.messages(at).any(|message| message.id == *id),
            What::Trim(address, to, _) => self.model.is_defined(*address, to),
            _ => part.heads().into_iter().all(|(kind, key)| is_met((kind, key.as_slice()))),
        }
    }

    pub(super) fn must_hold(&self, holds: bool, part: &Part) -> Result<(), Stop> {
        let detail = || format!("{:?} of {:?} was taken", part.what, part.heads());
        if holds { Ok(()) } else { Err(Stop::Broken(Promise::Conditions, detail())) }
    }

    /// A refusal for another reason than what is there is for the caller to know.
    pub(super) fn refused(
        &mut self,
        holds: bool,
        part: &Part,
        error: WriteError,
    ) -> Result<(), Stop> {
        match error {
            WriteError::Conflict { .. } | WriteError::NoMessage { .. } | WriteError::NoTopic => {
                if holds {
                    let detail = format!("{:?} was refused: {error}", part.what);
                    return Err(Stop::Broken(Promise::Conditions, detail));
                }
                self.happened.conflicts += 1;
                Ok(())
            }
            error => Err(Stop::Refused(error)),
        }
    }

    /// The record of a write is there.
    fn wrote(&mut self, mut part: Part) {
        let time_ms = self.hub.engine.hlc().millis();
        if let What::Publish(address, drafts) = &mut part.what {
            self.expire_messages(drafts, time_ms);
            self.count_messages(*address, drafts.len());
        }
        let removed = match &part.what {
            What::DeleteMessage(_) | What::Trim(..) => self.model.counts(self.model.now(0))[2],
            What::DeleteObjects(_) => self.model.objects(self.model.now(0)).count() as u64,
            _ => 0,
        };
        if self.is_planted(Plant::ApplyTwice) && self.prng.chance(2) {
            self.write_again(&part);
        }
        let of_objects = matches!(part.what, What::DeleteObjects(_));
        self.write_down(Change::Parts(vec![part], time_ms));
        if removed > 0 {
            let left = match of_objects {
                true => self.model.objects(self.model.now(0)).count() as u64,
                false => self.model.counts(self.model.now(0))[2],
            };
            let counter = match of_objects {
                true => &mut self.happened.objects_deleted,
                false => &mut self.happened.messages_removed,
            };
            *counter += removed - left;
        }
        self.happened.interleaved += u64::from(self.open.len() > 1);
    }

    /// When messages expire that were written at a time.
    pub(super) fn expire_messages(&self, drafts: &mut [Draft], time_ms: u64) {
        let from_ms = time_ms.max(self.model.watermark(Lsn::MAX));
        for draft in drafts {
            draft.expires_at = draft.ttl_ms.map_or(0, |ttl_ms| (from_ms + ttl_ms).max(1));
        }
    }

    pub(super) const fn count_messages(&mut self, address: Address, count: usize) {
        match address {
            Address::Topics => self.happened.messages += count as u64,
            Address::Patterns => self.happened.pattern_messages += count as u64,
        }
    }

    /// Stages a record that nobody wrote: what a client's write that is applied twice does.
    fn write_again(&mut self, part: &Part) {
        if let What::Put(pairs) = &part.what
            && let Some((key, value)) = pairs.first()
        {
            // A refusal leaves nothing behind.
            let _ = self.hub.engine.stage(&Write::put(key, value), self.wall_ms);
        }
    }

    /// A write as a hub with a bug takes it.
    pub(super) fn as_planted(&self, part: &Part) -> Part {
        let mut part = part.clone();
        match &mut part.what {
            What::Publish(Address::Patterns, drafts)
                if drafts.len() > 1 && self.is_planted(Plant::DropPatternMessage) =>
            {
                drafts.pop();
            }
            What::Publish(Address::Topics, drafts) if self.is_planted(Plant::ForgetRetained) => {
                drafts.iter_mut().for_each(|draft| draft.retain = false);
            }
            _ => {}
        }
        part
    }
}
