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
use unison_resp::output::{Output, Protocol};
use unison_resp::parse::Command;
use unison_resp::table::{Kind, Verb};
use unison_resp::transactions::{QUEUED_BYTES_MAX, Queued, Watched};

use crate::commit::Outcome;
use crate::resp::run::Run;
use crate::resp::server::Shared;
use crate::resp::session::Instead;
use crate::resp::session::changes::{Plan, Planned};
use crate::resp::session::looking::{Look, Looking};
use crate::resp::table::{Act, act_of};

/// Most bytes of replies; one more reply may come on top.
const REPLY_BYTES_MAX: usize = 64 << 20;
const REPLIES: &str = "the replies of a transaction have at most 67108864 bytes";
const _: () = assert!(REPLY_BYTES_MAX == 67_108_864, "the text names it");
const MADE: &str = "values that a transaction makes of those before have at most 8388608 bytes";
const _: () = assert!(QUEUED_BYTES_MAX == 8_388_608, "the text names it");
/// How long commands may take in which writers wait; one more command may come on top.
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
    queued: Vec<Queued>,
    watched: Watched,
    output: Output,
    /// Where its replies begin.
    start: usize,
    /// Bytes of values that were made of values before.
    made_bytes: usize,
    deadline: Instant,
}

impl Execution {
    pub(super) fn new(
        server: Arc<Shared>,
        namespace: Arc<Namespace>,
        queued: Vec<Queued>,
        watched: Watched,
        output: Output,
    ) -> Self {
        let (start, deadline) = (output.bytes().len(), Instant::now());
        Self { server, namespace, queued, watched, output, start, made_bytes: 0, deadline }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.output.protocol
    }

    pub(super) fn into_output(self) -> Output {
        self.output
    }

    pub(super) fn without_replies(mut self) -> Output {
        self.output.truncate(self.start);
        self.output
    }

    /// Whether it takes no longer than an async thread may be held.
    pub(super) fn is_brief(&self) -> bool {
        let is_brief = |queued: &Queued| match queued.spec.verb {
            Verb::Scan | Verb::HashScan => false,
            verb => !matches!(act_of(verb), Act::LookAside(_)),
        };
        let arguments = || self.queued.iter().map(|queued| queued.command.command().len()).sum();
        self.queued.len() <= BRIEF_COMMANDS
            && self.queued.iter().all(is_brief)
            && (0..=BRIEF_ARGUMENTS).contains(&arguments())
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
        self.output.truncate(self.start);
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
    fn carry_out_all(
        &mut self,
        source: &mut Source<'_, '_>,
        queued: &[Queued],
    ) -> Result<(), Ended> {
        self.output.array(queued.len());
        let is_lone = writes(queued) == 1;
        for (left, Queued { spec, command }) in (0..queued.len()).rev().zip(queued) {
            self.check()?;
            self.carry_out_one(source, spec.verb, &command.command(), is_lone && left == 0)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Ended> {
        if self.output.bytes().len().saturating_sub(self.start) > REPLY_BYTES_MAX {
            return Err(Ended::TooMuch(REPLIES));
        }
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
                    Err(Instead::Refuse(why)) => self.output.err(why),
                    Err(Instead::Zero) => self.output.integer(0),
                }
            }
            Act::Change(plan) => self.change(source, plan, command, is_all)?,
            Act::Look(look) | Act::LookAside(look) => self.look(&source.reader()?, look, command),
            Act::Say(say) => say(command, &mut self.output),
            // Of these `UNWATCH` alone is queued, and `EXEC` ends all watching.
            Act::Now(_) | Act::Later(_) => self.output.ok(),
        }
        Ok(())
    }

    fn look(&mut self, reader: &Reader, look: Look, command: &Command<'_, '_>) {
        let Self { output, server, namespace, .. } = self;
        look(&mut Looking { reader, output, server, namespace }, command);
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
        run.answer(outcomes, &self.server.audience, &mut self.output);
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
            Ok(Planned::Nothing(answer)) => answer.give(&mut self.output),
            Err(why) => self.output.err(why),
            Ok(Planned::Change(change, answer)) => {
                self.made_bytes = self.made_bytes.saturating_add(change.made_bytes());
                match source.stage(&change.write(), is_all) {
                    Ok(_) => answer.give(&mut self.output),
                    Err(error) if is_of_the_command(&error) => self.output.err(error),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

fn writes(queued: &[Queued]) -> usize {
    queued.iter().filter(|queued| queued.spec.kind == Kind::Write).count()
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
