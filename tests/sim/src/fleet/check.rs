//! What must hold, looked at after every step.

use super::Store;
use super::lag::PROGRESS_MS;
use super::link::ConnectionId;
use super::node::{HUB, Marks, NodeNumber};
use super::outcome::{Breach, Promise};
use super::state::Look;
use super::story::Story;
use super::trace::Digest;
use super::truth::{Difference, Truth};
use super::world::World;
use unison_base::{LogId, Lsn};
use unison_engine::OpenReport;
use unison_walfs::LogReader;

impl World {
    /// What the hub has durable now is compared for good with everything before.
    pub(super) fn look_at_hub(&mut self) -> Result<(), Breach> {
        let Some((_, log)) = self.nodes[HUB].log() else { return Ok(()) };
        self.nodes[HUB].marks.note_progress(self.now_ms, log.durable());
        let disk = self.nodes[HUB].home.borrow().disk.clone();
        let extended = disk.unwatched(|| self.truth.extend(&log));
        extended.map_err(|difference| self.differs(HUB, Promise::Acknowledged, difference))?;
        if !self.model.has(self.truth.durable()) {
            let detail = format!("record {} was written by nobody", self.truth.durable());
            return Err(self.breach(HUB, Promise::Written, detail));
        }
        self.spot_check(HUB)
    }

    /// The hub is back: all that it acknowledged or served is there, byte for byte.
    pub(super) fn hub_recovered(&mut self) -> Result<(), Breach> {
        let Some(engine) = self.nodes[HUB].engine() else { return Ok(()) };
        let (appended, log) = (engine.appended(), engine.log());
        let owed = self.acknowledged.max(self.truth.durable()).max(self.answered);
        if appended < owed {
            let detail = format!("up to {appended} is left of {owed}");
            return Err(self.breach(HUB, Promise::Acknowledged, detail));
        }
        self.choose_history(appended)?;
        let disk = self.nodes[HUB].home.borrow().disk.clone();
        let mut found = Truth::default();
        disk.unwatched(|| found.extend(&log))
            .and_then(|()| self.truth.is_prefix_of(&found))
            .map_err(|difference| self.differs(HUB, Promise::Acknowledged, difference))
    }

    /// Which records above the acknowledged ones came true: those written last, or some whose append
    /// failed and was not followed by one that succeeded.
    fn choose_history(&mut self, appended: Lsn) -> Result<(), Breach> {
        let mut fits = self.try_history(appended);
        while fits.is_err() && self.model.recall() {
            fits = self.try_history(appended);
        }
        self.model.settle();
        fits
    }

    fn try_history(&mut self, appended: Lsn) -> Result<(), Breach> {
        if !self.model.has(appended) {
            let detail = format!("recovered {appended}, written were {}", self.model.last());
            return Err(self.breach(HUB, Promise::Written, detail));
        }
        self.model.truncate(appended);
        self.state_check(HUB)
    }

    /// A record of a follower that rot took since its last start. A start that is cut off may have
    /// put away what it found, so only the first start owes a word.
    pub(super) fn look_for_rot(&mut self, number: NodeNumber) -> Option<Lsn> {
        let marks = &mut self.nodes[number].marks;
        let (rotted, durable) = (std::mem::take(&mut marks.rotted), marks.durable);
        if !rotted {
            return None;
        }
        let home = self.nodes[number].home.borrow();
        home.disk.unwatched(|| home.rotted(&self.truth, durable))
    }

    /// A record that has rotted is told of by the start, or by whoever reads the log.
    pub(super) fn rot_is_said(
        &self,
        number: NodeNumber,
        rotted: Option<Lsn>,
        report: &OpenReport,
    ) -> Result<(), Breach> {
        let (Some(lsn), Some(engine)) = (rotted, self.nodes[number].engine()) else {
            return Ok(());
        };
        let rungs = &report.recovery.rungs;
        let found = rungs.torn_tails
            + rungs.lost_tails
            + rungs.discarded_segments
            + rungs.rot_segments
            + rungs.gaps
            + rungs.stale_segments
            + rungs.unproved_holes;
        if found + report.missing + report.invalid > 0 {
            return Ok(());
        }
        let (log, disk) = (engine.log(), self.nodes[number].home.borrow().disk.clone());
        let (first, last) = (log.first(), engine.appended());
        match disk.unwatched(|| self.truth.compare(&log, first, last, &mut |_, _| ())) {
            Err(_) => Ok(()),
            Ok(()) => {
                let detail =
                    format!("record {lsn} has rotted, {first} to {last} read as if nothing was");
                Err(self.breach(number, Promise::Damage, detail))
            }
        }
    }

    /// A follower is back. False when a person has to act.
    pub(super) fn follower_recovered(
        &mut self,
        number: NodeNumber,
        report: &OpenReport,
    ) -> Result<bool, Breach> {
        let Some(engine) = self.nodes[number].engine() else { return Ok(false) };
        let appended = engine.appended();
        let marks = &mut self.nodes[number].marks;
        (marks.compared, marks.unread, marks.had) = (Lsn::ZERO, None, Lsn::ZERO);
        let (damaged, durable) = (marks.damaged, marks.durable);
        if !damaged && appended < durable {
            let detail = format!("up to {appended} is left of {durable}");
            return Err(self.breach(number, Promise::FollowerKeeps, detail));
        }
        if report.missing > 0 {
            if !damaged {
                let detail = format!("{} records are missing on a sound disk", report.missing);
                return Err(self.breach(number, Promise::Damage, detail));
            }
            self.replace_disk(number);
            return Ok(false);
        }
        self.look_at_follower(number)?;
        self.state_check(number)?;
        self.forget_damage(number, report);
        Ok(true)
    }

    /// A start that finds nothing, on a log whose every byte from the first record on is right: what
    /// had rotted is mended, and the next loss has no excuse.
    fn forget_damage(&mut self, number: NodeNumber, report: &OpenReport) {
        let Some(engine) = self.nodes[number].engine() else { return };
        let whole = engine.log().first() == Lsn::FIRST && engine.applied() == engine.appended();
        let look = Look::new(&self.model, engine);
        let disk = self.nodes[number].home.borrow().disk.clone();
        let state = disk.unwatched(|| look.at_all(&mut Digest::default()));
        let quiet = report.recovery.events.is_empty() && report.missing + report.invalid == 0;
        let marks = &mut self.nodes[number].marks;
        if whole && quiet && !marks.is_stale && marks.unread.is_none() && state == Ok(None) {
            marks.damaged = false;
        }
    }

    /// A follower's log and what it says of itself, after a step.
    pub(super) fn look_at_follower(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let Some(engine) = self.nodes[number].engine() else { return Ok(()) };
        let (appended, durable, applied) = (engine.appended(), engine.durable(), engine.applied());
        let log = engine.log();
        if appended > self.truth.durable() || durable > appended {
            let detail = format!("holds {appended}, the hub {}", self.truth.durable());
            return Err(self.breach(number, Promise::NotAhead, detail));
        }
        let now_ms = self.now_ms;
        let marks = &mut self.nodes[number].marks;
        let (compared, before) = (marks.compared.min(appended), marks.durable);
        marks.compared = appended;
        marks.note_progress(now_ms, durable);
        if compared < appended {
            self.note(number, Story::Holds { appended, durable, applied });
            let unread = self.compare(number, &log, compared.next(), appended)?;
            let marks = &mut self.nodes[number].marks;
            marks.unread = marks.unread.or(unread);
        }
        if before != durable { self.spot_check(number) } else { Ok(()) }
    }

    /// Compares some records. The oldest that cannot be read, where rot excuses that.
    fn compare(
        &self,
        number: NodeNumber,
        log: &LogReader<Store>,
        from: Lsn,
        to: Lsn,
    ) -> Result<Option<Lsn>, Breach> {
        let node = &self.nodes[number];
        let disk = node.home.borrow().disk.clone();
        let from = from.max(log.first());
        match disk.unwatched(|| self.truth.compare(log, from, to, &mut |_, _| ())) {
            Err(Difference::Unreadable(lsn, _) | Difference::Misplaced(_, _, lsn))
                if node.marks.damaged =>
            {
                Ok(Some(lsn))
            }
            Err(difference) => Err(self.differs(number, Promise::Prefix, difference)),
            Ok(()) => Ok(None),
        }
    }

    /// Compares what could not be read before: it may have been fetched again since.
    fn compare_unread(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let (node, marks) = (&self.nodes[number], &self.nodes[number].marks);
        let (Some(unread), Some(engine)) = (marks.unread, node.engine()) else { return Ok(()) };
        let (log, compared) = (engine.log(), marks.compared.min(engine.appended()));
        self.nodes[number].marks.unread = self.compare(number, &log, unread, compared)?;
        Ok(())
    }

    fn differs(&self, number: NodeNumber, promise: Promise, difference: Difference) -> Breach {
        self.breach(number, promise, format!("{difference:?}"))
    }

    /// What a follower has acknowledged its leader has durable, and had.
    pub(super) fn look_at_acknowledged(
        &self,
        number: NodeNumber,
        id: ConnectionId,
        acknowledged: &[(Lsn, Lsn)],
        log: Option<&(LogId, LogReader<Store>)>,
    ) -> Result<(), Breach> {
        let durable_here = log.map(|(_, log)| log.durable()).unwrap_or_default();
        let durable_here = durable_here.max(self.nodes[number].marks.had);
        for &(durable, applied) in acknowledged {
            if durable > durable_here || durable > self.truth.durable() {
                let detail = format!("#{id} acknowledges {durable} of {durable_here}");
                return Err(self.breach(number, Promise::NotAhead, detail));
            }
            if applied > self.truth.durable() {
                let detail = format!("#{id} shows {applied}, durable is {durable}");
                return Err(self.breach(number, Promise::NotAhead, detail));
            }
        }
        Ok(())
    }

    /// Everything at once: what each follower says of its lag, and now and then all it holds.
    pub(super) fn look_at_all(&mut self) -> Result<(), Breach> {
        for number in 0..self.nodes.len() {
            if self.nodes[number].process.is_none() || self.nodes[number].is_paused(self.now_ms) {
                continue;
            }
            if number != HUB {
                self.look_at_lag(number)?;
                self.compare_unread(number)?;
            }
            self.free_expired(number);
            if self.looks.chance(10) {
                self.state_check(number)?;
            }
            if self.looks.chance(20) && self.is_on(super::fault::Fault::LostWrite) {
                let earlier = self.nodes[number].home.borrow().disk.moment();
                self.nodes[number].marks.earlier = Some(earlier);
            }
        }
        Ok(())
    }

    /// The log and the state of a node, each as one number, after a look at every byte of both.
    pub(super) fn digest(&self, number: NodeNumber) -> Result<Option<(u64, u64)>, Breach> {
        let Some(engine) = self.nodes[number].engine() else { return Ok(None) };
        let (log, last) = (engine.log(), engine.appended());
        let look = Look::new(&self.model, engine);
        let disk = self.nodes[number].home.borrow().disk.clone();
        let (mut bytes, mut state) = (Digest::default(), Digest::default());
        let mut see = |_, frames: &[u8]| bytes.take_stream(frames);
        let same = disk.unwatched(|| self.truth.compare(&log, Lsn::FIRST, last, &mut see));
        match same {
            Err(Difference::Unreadable(..) | Difference::Misplaced(..))
                if self.nodes[number].marks.damaged =>
            {
                return Ok(None);
            }
            Err(difference) => return Err(self.differs(number, Promise::Prefix, difference)),
            Ok(()) => {}
        }
        let read = disk.unwatched(|| look.at_all(&mut state));
        if read.is_err() && self.nodes[number].marks.damaged {
            return Ok(None);
        }
        self.judge(number, read)?;
        Ok(Some((bytes.value(), state.value())))
    }
}

impl Marks {
    /// Keeps what is needed to say how far the log was at any time of the last minutes.
    pub(super) fn note_progress(&mut self, now_ms: u64, durable: Lsn) {
        self.durable = if self.damaged { durable } else { self.durable.max(durable) };
        if self.progress.back().is_some_and(|&(_, last)| last == durable) {
            return;
        }
        self.progress.push_back((now_ms, durable));
        while self.progress.get(1).is_some_and(|&(at_ms, _)| at_ms + PROGRESS_MS < now_ms) {
            self.progress.pop_front();
        }
    }
}
