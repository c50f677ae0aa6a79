//! The prompt: lines are edited, kept and completed.

use super::complete::Completion;
use super::error::ShellError;
use super::history::History;
use super::session::{Flow, Session};
use super::words::split;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
/// Lines that are kept.
const HISTORY_LINES: usize = 1_000;

/// Asks for commands and runs them, until the user leaves.
pub(super) fn prompt(session: &mut Session) -> Result<(), ShellError> {
    watch_interrupts(Arc::clone(&session.interrupted));
    let config = Config::builder()
        .max_history_size(HISTORY_LINES)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor: Editor<Completion, FileHistory> = Editor::with_config(config)?;
    let history = History::of_user();
    history.load(&mut editor);
    loop {
        editor.set_helper(Some(Completion::new(session.client.clone())));
        let line = match editor.readline(&question(session)) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return session.leave(),
            Err(error) => return Err(error.into()),
        };
        history.add(&mut editor, &line);
        if run(session, &line) == Flow::Leave {
            return session.leave();
        }
    }
}

/// Says where one is.
fn question(session: &Session) -> String {
    let open = if session.open.is_some() { " (transaction)" } else { "" };
    format!("{}{open}> ", session.client.namespace())
}

/// Runs a line. The first failure ends it and is told.
fn run(session: &mut Session, line: &str) -> Flow {
    let outcome = split(line.as_bytes()).map_err(ShellError::from).and_then(|commands| {
        for words in commands {
            if session.execute(words)? == Flow::Leave {
                return Ok(Flow::Leave);
            }
        }
        Ok(Flow::Continue)
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        Flow::Continue
    })
}

/// Ctrl-C ends the command that runs; a second one ends the shell, should the command not look. It is
/// listened to when this returns: the editor of lines puts back what it found, and must not find that
/// nobody listens.
fn watch_interrupts(interrupted: Arc<AtomicBool>) {
    let (listening, listens) = channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let Ok(mut interrupts) = signal(SignalKind::interrupt()) else { return };
            drop(listening);
            while interrupts.recv().await.is_some() {
                if interrupted.swap(true, Ordering::AcqRel) {
                    std::process::exit(INTERRUPTED);
                }
            }
        });
    });
    // Nothing is sent: the other end is dropped then, and also when it cannot listen.
    let _ = listens.recv();
}
