//! Commands that wait: for an acknowledgement in between, for followers, or for a thread that may
//! be held longer than an async one.

use std::time::{Duration, Instant};

use unison_base::Lsn;
use unison_base::limits::VALUE_MAX;
use unison_engine::{Condition, ReadError, ScanRequest, Write, WriteError};
use unison_linux::store::Reader;
use unison_resp::glob;
use unison_resp::hashes::Parts;
use unison_resp::parse::{Command, number};

use super::Session;
use crate::commit::commit_one;
use crate::resp::run::refuse;

/// Most keys, and bytes of keys, in an answer to `KEYS`.
const KEYS_MAX: usize = 100_000;
const KEYS_BYTES_MAX: usize = 16 << 20;
/// How long a change that depends on the value before is tried again before it is refused.
pub(super) const CONFLICT_PATIENCE: Duration = Duration::from_secs(10);
/// Until a write in the way is visible.
pub(super) const CONFLICT_PAUSE: Duration = Duration::from_millis(1);
/// The longest `WAIT`, also when it asks to wait for ever.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// A command that waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::resp) enum Later {
    Append,
    DbSize,
    Decrement,
    Expire,
    GetExpire,
    HashAll(Parts),
    HashLength,
    Increment,
    Info,
    Keys,
    Persist,
    Publish,
    Set,
    Wait,
    /// Nothing to be done for it: answers 0 in its turn.
    Zero,
}

/// What a command made of the value before: the new one and what to answer, or a refusal.
type Changed = Result<(Vec<u8>, i64), &'static str>;

impl Session {
    pub(super) async fn wait_for(&mut self, later: Later, command: &Command<'_, '_>) {
        let key = command.argument(1);
        match later {
            Later::Append => {
                let tail = command.argument(2);
                self.change(key, |before| appended(before, tail)).await;
            }
            Later::Increment => self.add(command, Some).await,
            Later::Decrement => self.add(command, i64::checked_neg).await,
            Later::Set => self.set(command).await,
            Later::Expire => self.expire(command).await,
            Later::GetExpire => self.get_and_expire(command).await,
            Later::Persist => self.persist(key).await,
            Later::HashAll(parts) => self.hash_all(key, parts).await,
            Later::HashLength => self.hash_length(key).await,
            Later::DbSize => self.count_keys().await,
            Later::Keys => self.keys(key).await,
            Later::Info => self.info(command).await,
            Later::Publish => self.publish(command).await,
            Later::Wait => self.wait(command).await,
            Later::Zero => self.output.integer(0),
        }
    }

    async fn add(&mut self, command: &Command<'_, '_>, signed: fn(i64) -> Option<i64>) {
        let amount = if command.len() == 2 { Some(1) } else { number(command.argument(2)) };
        let Some(amount) = amount else {
            return self.output.err("value is not an integer or out of range");
        };
        let Some(amount) = signed(amount) else {
            return self.output.err("decrement would overflow");
        };
        self.change(command.argument(1), |before| increased(before, amount)).await;
    }

    /// Replaces a value by what `change` makes of it, and answers. Nothing comes in between.
    async fn change(&mut self, key: &[u8], change: impl Fn(Option<&[u8]>) -> Changed) {
        let server = std::sync::Arc::clone(&self.server);
        let _turn = server.turn(self.namespace.name(), key).lock().await;
        let deadline = Instant::now() + CONFLICT_PATIENCE;
        loop {
            let (lsn, before, expires_at) = match self.current(key) {
                Ok(current) => current,
                Err(error) => return self.output.err(error),
            };
            let (value, answer) = match change(before.as_deref()) {
                Ok(changed) => changed,
                Err(why) => return self.output.err(why),
            };
            let write = Write::put(key, &value).expiring_at(expires_at);
            let write = Write { condition: Condition::UnchangedSince(lsn), ..write };
            match commit_one(&self.namespace, write).await {
                Err(WriteError::Conflict { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(CONFLICT_PAUSE).await;
                }
                Ok(written) => {
                    self.last_written = written.lsn;
                    return self.output.integer(answer);
                }
                Err(error) => return refuse(&error, &mut self.output),
            }
        }
    }

    /// A key's version, its value, and when it expires; zero, none and never when it is absent.
    fn current(&self, key: &[u8]) -> Result<(Lsn, Option<Vec<u8>>, u64), ReadError> {
        match self.reader().get(key)? {
            Some(value) => Ok((value.lsn(), Some(value.bytes()?.to_vec()), value.expires_at())),
            None => Ok((Lsn::ZERO, None, 0)),
        }
    }

    /// Runs `look` where it may take its time.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        look: impl FnOnce(Reader) -> T + Send + 'static,
    ) -> Option<T> {
        let reader = self.reader();
        tokio::task::spawn_blocking(move || look(reader)).await.ok()
    }

    async fn count_keys(&mut self) {
        match self.aside(|reader| reader.count()).await {
            Some(Ok(keys)) => self.output.count(keys),
            Some(Err(error)) => self.output.err(error),
            None => self.output.err("the count was given up"),
        }
    }

    async fn keys(&mut self, pattern: &[u8]) {
        let pattern = pattern.to_vec();
        match self.aside(move |reader| matching(&reader, &pattern)).await {
            Some(Ok(Some(keys))) => {
                self.output.array(keys.len());
                keys.iter().for_each(|key| self.output.bulk(key));
            }
            Some(Ok(None)) => self.output.err(format_args!(
                "more than the limit of {KEYS_MAX} keys or {KEYS_BYTES_MAX} bytes match; use SCAN"
            )),
            Some(Err(error)) => self.output.err(error),
            None => self.output.err("the listing was given up"),
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

fn appended(before: Option<&[u8]>, tail: &[u8]) -> Changed {
    let before = before.unwrap_or_default();
    let length = before.len().saturating_add(tail.len());
    if length > VALUE_MAX {
        return Err("the value would be above the limit of 4194304 bytes (value)");
    }
    let answer = i64::try_from(length).unwrap_or(i64::MAX);
    Ok(([before, tail].concat(), answer))
}

fn increased(before: Option<&[u8]>, amount: i64) -> Changed {
    let value = before.map_or(Some(0), number).ok_or("value is not an integer or out of range")?;
    let sum = value.checked_add(amount).ok_or("increment or decrement would overflow")?;
    Ok((sum.to_string().into_bytes(), sum))
}

/// All keys that match, or `None` when they are too many for one answer.
fn matching(reader: &Reader, pattern: &[u8]) -> Result<Option<Vec<Vec<u8>>>, ReadError> {
    let prefix = glob::prefix(pattern);
    let (mut keys, mut bytes) = (Vec::new(), 0);
    for item in reader.snapshot().scan(ScanRequest { prefix, ..ScanRequest::default() })? {
        let key = item?.key;
        if glob::matches(pattern, &key) {
            bytes += key.len();
            keys.push(key);
        }
        if keys.len() > KEYS_MAX || bytes > KEYS_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(keys))
}

const _: () = assert!(VALUE_MAX == 4_194_304, "the text of APPEND's refusal names it");
