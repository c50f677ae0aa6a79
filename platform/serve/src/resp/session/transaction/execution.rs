//! One try of an `EXEC`: its commands in order, while nobody else writes.
//!
//! ```text
//! commands that only look     one moment, held; nobody waits
//! any that write              the namespace's writer, held: watched keys, commands, commit
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use unison_base::{Lsn, TxnId};
use unison_engine::{ReadError, Write, WriteError};
use unison_linux::SystemEntropy;
use unison_linux::store::{Acknowledged, Exclusive, Namespace, Reader, TurnAlone};
use unison_ports::Entropy as _;
use unison_resp::output::Protocol;
use unison_resp::parse::Command;
use unison_resp::table::{Kind, Spec, Verb};
use unison_resp::transactions::{QUEUED_BYTES_MAX, Queue, Watched};

use super::replies::Replies;
use crate::commit::Outcome;
use crate::resp::run::Run;
use crate::resp::server::Shared;
use crate::resp::session::Instead;
use crate::resp::session::changes::{Plan, Planned};
use crate::resp::session::looking::{Look, Looking, Time};
use crate::resp::table::{Act, act_of};

const MADE: &str = "values that a transaction makes of those before have at most 8388608 bytes";
const _: () = assert!(QUEUED_BYTES_MAX == 8_388_608, "the text names it");
/// How long commands may take in which writers wait. Those that may take long look at the clock themselves.
const TIME_MAX: Duration = Duration::from_secs(1);
const _: () = assert!(TIME_MAX.as_secs() == 1, "the text names it");
/// What takes no longer than a run of pipelined writes is not worth a thread of its own: commands, and
/// arguments of them all.
const BRIEF_COMMANDS: usize = 256;
const BRIEF_ARGUMENTS: usize = 1_024;

/// Why nothing of a transaction has happened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// A write that is not to blame could not be staged.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A watched key cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A watched key has changed.
    #[error("a watched key has changed")]
    Changed,
    /// It answers or writes more than it may.
    #[error("{0}; nothing of it has happened")]
    TooMuch(&'static str),
    /// It takes longer than it may.
    #[error("a transaction takes at most 1 second; nothing of it has happened")]
    TooLong,
}

/// Where commands read from and write to.
enum Source<'s, 'q> {
    Held(Reader),
    Writer(&'s mut Exclusive<'q>),
}

impl Source<'_, '_> {
    fn reader(&mut self) -> Result<Reader, WriteError> {
        match self {
            Self::Held(reader) => Ok(reader.clone()),
            Self::Writer(writer) => writer.reader(),
        }
    }

    fn now_ms(&mut self) -> Result<u64, WriteError> {
        match self {
            Self::Held(reader) => Ok(reader.now_ms()),
            Self::Writer(writer) => writer.now_ms(),
        }
    }

    /// One that `is_all` of the transaction needs none around it.
    fn stage(&mut self, write: &Write<'_>, is_all: bool) -> Outcome {
        match self {
            Self::Held(_) => Err(WriteError::ReadOnly),
            Self::Writer(writer) if is_all => writer.stage_alone(write),
            Self::Writer(writer) => writer.stage(write),
        }
    }
}

/// An `EXEC` with all that it needs on a thread of its own.
pub(super) struct Execution {
    server: Arc<Shared>,
    namespace: Arc<Namespace>,
    queued: Queue,
    watched: Watched,
    replies: Replies,
    /// Bytes of values that were made of values before.
    made_bytes: usize,
    deadline: Instant,
}

impl Execution {
    pub(super) fn new(
        server: Arc<Shared>,
        namespace: Arc<Namespace>,
        queued: Queue,
        watched: Watched,
        replies: Replies,
    ) -> Self {
        let deadline = Instant::now();
        Self { server, namespace, queued, watched, replies, made_bytes: 0, deadline }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.replies.output.protocol
    }

    pub(super) fn into_replies(self) -> Replies {
        self.replies
    }

    /// Whether it takes no longer than an async thread may be held.
    pub(super) fn is_brief(&self) -> bool {
        let is_brief = |spec: &Spec| match spec.verb {
            Verb::Scan | Verb::HashScan => false,
            verb => !matches!(act_of(verb), Act::LookAside(_)),
        };
        self.queued.len() <= BRIEF_COMMANDS
            && self.queued.arguments() <= BRIEF_ARGUMENTS
            && self.queued.specs().all(is_brief)
    }

    /// Waits for its turn, if it needs one: it holds up all who write.
    pub(super) async fn turn(&self) -> Option<TurnAlone> {
        if writes(&self.queued) == 0 { None } else { Some(self.namespace.turn_alone().await) }
    }

    /// Tries it. Returns the newest record, of which `done` tells when it is acknowledged; `None` when
    /// nothing was written.
    pub(super) fn run(
        mut self,
        _turn: Option<TurnAlone>,
        done: oneshot::Sender<Acknowledged>,
    ) -> (Self, Result<Option<Lsn>, Ended>) {
        self.replies.take_back();
        self.made_bytes = 0;
        let namespace = Arc::clone(&self.namespace);
        let result = if writes(&self.queued) == 0 {
            let reader = namespace.reader().held();
            self.carry_out(Source::Held(reader)).map(|()| None)
        } else {
            let mut id = [0; 16];
            SystemEntropy.fill(&mut id);
            let act = |writer: &mut Exclusive<'_>| self.carry_out(Source::Writer(writer));
            let tell = Box::new(move |result| {
                // Nobody waits any more when the connection is gone.
                let _ = done.send(result);
            });
            namespace.exclusively(TxnId(id), act, tell).map(|((), newest)| newest)
        };
        (self, result)
    }

    /// The time begins when the writer is held, however long that took.
    fn carry_out(&mut self, mut source: Source<'_, '_>) -> Result<(), Ended> {
        self.deadline = Instant::now() + TIME_MAX;
        if !self.watched.is_empty() && self.watched.have_changed(&source.reader()?)? {
            return Err(Ended::Changed);
        }
        let queued = std::mem::take(&mut self.queued);
        let result = self.carry_out_all(&mut source, &queued);
        self.queued = queued;
        result
    }

    /// A lone write behind which nothing can go wrong any more needs no transaction around it.
    fn carry_out_all(&mut self, source: &mut Source<'_, '_>, queued: &Queue) -> Result<(), Ended> {
        self.replies.output.array(queued.len());
        let (is_lone, mut words) = (writes(queued) == 1, Vec::new());
        for index in 0..queued.len() {
            let Some((spec, command)) = queued.command(index, &mut words) else { break };
            let is_last = index + 1 == queued.len();
            let is_all = is_lone && is_last && spec.kind == Kind::Write;
            self.carry_out_one(source, spec.verb, &command, is_all)?;
            if !is_all {
                self.check()?;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Ended> {
        self.replies.count().map_err(Ended::TooMuch)?;
        if self.made_bytes > QUEUED_BYTES_MAX {
            return Err(Ended::TooMuch(MADE));
        }
        if Instant::now() > self.deadline { Err(Ended::TooLong) } else { Ok(()) }
    }

    fn carry_out_one(
        &mut self,
        source: &mut Source<'_, '_>,
        verb: Verb,
        command: &Command<'_, '_>,
        is_all: bool,
    ) -> Result<(), Ended> {
        match act_of(verb) {
            Act::Queue(queue) => {
                let mut run = Run::default();
                match queue(command, &mut run) {
                    Ok(()) => self.write(source, &run, is_all)?,
                    Err(Instead::Change(plan)) => self.change(source, plan, command, is_all)?,
                    Err(Instead::Refuse(why)) => self.replies.output.err(why),
                    Err(Instead::Zero) => self.replies.output.integer(0),
                }
            }
            Act::Change(plan) => self.change(source, plan, command, is_all)?,
            Act::Look(look) | Act::LookAside(look) => {
                self.look(&source.reader()?, look, command)?
            }
            Act::Say(say) => say(command, &mut self.replies.output),
            // Of these `UNWATCH` alone is queued, and `EXEC` ends all watching.
            Act::Now(_) | Act::Later(_) => self.replies.output.ok(),
        }
        Ok(())
    }

    fn look(
        &mut self,
        reader: &Reader,
        look: Look,
        command: &Command<'_, '_>,
    ) -> Result<(), Ended> {
        let Self { replies, server, namespace, .. } = self;
        let (output, time) = (&mut replies.output, Time::until(self.deadline));
        let mut looking = Looking { reader, output, server, namespace, time };
        look(&mut looking, command);
        if looking.time.is_over { Err(Ended::TooLong) } else { Ok(()) }
    }

    /// Stages the writes of one command and answers it.
    fn write(
        &mut self,
        source: &mut Source<'_, '_>,
        run: &Run<'_>,
        is_all: bool,
    ) -> Result<(), Ended> {
        let now_ms = if run.has_lifetimes() { source.now_ms()? } else { 0 };
        let rows = run.rows();
        let writes = run.writes(&rows, now_ms);
        let is_all = is_all && writes.len() == 1;
        let outcomes: Vec<Outcome> =
            writes.iter().map(|write| source.stage(write, is_all)).collect();
        whole(&outcomes)?;
        run.answer(outcomes, &self.server.audience, &mut self.replies.output);
        Ok(())
    }

    fn change(
        &mut self,
        source: &mut Source<'_, '_>,
        plan: Plan,
        command: &Command<'_, '_>,
        is_all: bool,
    ) -> Result<(), Ended> {
        let planned = plan(&source.reader()?, command);
        match planned {
            Ok(Planned::Nothing(answer)) => answer.give(&mut self.replies.output),
            Err(why) => self.replies.output.err(why),
            Ok(Planned::Change(change, answer)) => {
                self.made_bytes = self.made_bytes.saturating_add(change.made_bytes());
                match source.stage(&change.write(), is_all) {
                    Ok(_) => answer.give(&mut self.replies.output),
                    Err(error) if is_of_the_command(&error) => self.replies.output.err(error),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

fn writes(queued: &Queue) -> usize {
    queued.specs().filter(|spec| spec.kind == Kind::Write).count()
}

/// A command that writes several things writes all of them or none. One that is refused for itself, as it
/// is outside of transactions, has changed nothing, and the others happen.
fn whole(outcomes: &[Outcome]) -> Result<(), WriteError> {
    let errors = || outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let is_conflict = |error: &&WriteError| matches!(error, WriteError::Conflict { .. });
    let refused = errors().find(|error| !is_conflict(error));
    let fatal = errors().find(|error| !is_of_the_command(error));
    match (fatal, refused) {
        (Some(error), _) => Err(*error),
        (None, Some(error)) if outcomes.iter().any(Result::is_ok) => Err(*error),
        _ => Ok(()),
    }
}

/// Whether a refusal is about what the command asks, and not about the namespace or the transaction.
fn is_of_the_command(error: &WriteError) -> bool {
    matches!(
        error,
        WriteError::KeyLength { .. }
            | WriteError::ValueLength { .. }
            | WriteError::ColumnLength { .. }
            | WriteError::Columns { .. }
            | WriteError::BatchOperations { .. }
            | WriteError::BatchBytes { .. }
            | WriteError::IndexBytes { .. }
            | WriteError::Topic(_)
            | WriteError::Headers { .. }
            | WriteError::EmptyBatch
            | WriteError::RecordTooLarge { .. }
            | WriteError::Conflict { .. }
    )
}
