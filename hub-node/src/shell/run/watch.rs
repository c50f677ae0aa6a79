//! Changes as they happen.

use crate::client::{ClientError, Event, Watched};
use crate::shell::commands::WatchArguments;
use crate::shell::error::ShellError;
use crate::shell::output::{Cell, Output, Style};
use crate::shell::session::{Session, check};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often Ctrl-C is looked for while nothing happens.
const POLL: Duration = Duration::from_millis(100);
/// Events that wait to be shown; the node keeps all others.
const WAITING_MAX: usize = 64;

/// Shows changes until Ctrl-C, or as many as are asked for.
pub(super) fn watch(session: &mut Session, arguments: &WatchArguments) -> Result<(), ShellError> {
    let events = events(session, arguments.watched())?;
    let mut left = arguments.count;
    while left != Some(0) {
        match events.recv_timeout(POLL) {
            Ok(event) => {
                show(&mut session.output, &event?)?;
                left = left.map(|left| left - 1);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ClientError::Ended.into()),
        }
        if check(&session.interrupted).is_err() {
            break;
        }
    }
    Ok(())
}

/// Events from a thread of their own, for a read from the line cannot be given up. The thread ends
/// with the first event, or sign of life, that nobody takes.
fn events(
    session: &Session,
    watched: Watched,
) -> Result<Receiver<Result<Event, ClientError>>, ShellError> {
    let mut events = session.client.watch(&watched)?;
    let (sender, receiver) = sync_channel(WAITING_MAX);
    std::thread::spawn(move || {
        loop {
            let event = events.next();
            let is_last = event.is_err();
            if sender.send(event).is_err() || is_last {
                return;
            }
        }
    });
    Ok(receiver)
}

fn show(output: &mut Output, event: &Event) -> Result<(), ShellError> {
    if output.style() == Style::Json {
        return Ok(output.document(&event.document)?);
    }
    let text = |text: &str| Cell::from(text);
    let mut fields =
        vec![text(&event.id), text(&event.model), text(&event.operation), event.key.clone().into()];
    if let Some(columns) = event.document.get("columns") {
        fields.push(columns.to_string().into());
    }
    fields.extend(event.value.clone().map(Cell::from));
    Ok(output.fields(&fields)?)
}
