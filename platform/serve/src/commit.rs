//! Writes on behalf of a task: staged at once, acknowledged later, never on a blocked thread.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use unison_base::Lsn;
use unison_engine::{Write, WriteError};
use unison_linux::store::{Acknowledged, Namespace, Unacknowledged, Written};

/// How long writes wait for a flush to make room before their client is told to come back.
const PRESSURE_PATIENCE: Duration = Duration::from_secs(10);
/// First pause between two looks whether there is room; doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(16);

/// The outcome of one write.
pub(crate) type Outcome = Result<Written, WriteError>;

/// Stages `writes` in order and waits until all that were staged are acknowledged. The outcomes are
/// in the order of the writes; what could not be acknowledged is an error of every write concerned.
pub(crate) async fn commit(namespace: &Namespace, writes: &[Write<'_>]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(writes.len());
    let deadline = Instant::now() + PRESSURE_PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let rest = writes.get(outcomes.len()..).unwrap_or_default();
        let mut round = submit(namespace, rest).await;
        let refused = round.iter().position(|outcome| matches!(outcome, Err(WriteError::Busy(_))));
        let Some(refused) = refused.filter(|_| Instant::now() < deadline) else {
            outcomes.append(&mut round);
            return outcomes;
        };
        // What stands behind a refused write was judged without it: it is asked again too.
        round.truncate(refused);
        outcomes.append(&mut round);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Stages one write and waits until it is acknowledged.
pub(crate) async fn commit_one(namespace: &Namespace, write: Write<'_>) -> Outcome {
    let mut outcomes = commit(namespace, &[write]).await;
    outcomes.pop().unwrap_or(Err(WriteError::Closed))
}

async fn submit(namespace: &Namespace, writes: &[Write<'_>]) -> Vec<Outcome> {
    let (done, acknowledged) = oneshot::channel();
    let tell = Box::new(move |result: Acknowledged| {
        // Nobody waits any more when the connection is gone.
        let _ = done.send(result);
    });
    let turn = namespace.turn().await;
    let outcomes = namespace.submit(writes, tell);
    drop(turn);
    if outcomes.iter().all(Result::is_err) {
        return outcomes;
    }
    match acknowledged.await {
        Ok(Ok(_)) => outcomes,
        Ok(Err(lost)) => unacknowledged(outcomes, lost),
        Err(_) => {
            unacknowledged(outcomes, Unacknowledged { error: WriteError::Closed, kept: Lsn::ZERO })
        }
    }
}

fn unacknowledged(mut outcomes: Vec<Outcome>, lost: Unacknowledged) -> Vec<Outcome> {
    for outcome in &mut outcomes {
        if matches!(outcome, Ok(written) if written.lsn > lost.kept) {
            *outcome = Err(lost.error);
        }
    }
    outcomes
}
