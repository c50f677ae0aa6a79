//! Rows: columns that merge.

use super::{absent, end_of_listing, page_items, written};
use crate::shell::commands::{RowCommand, ScanArguments};
use crate::shell::error::ShellError;
use crate::shell::output::Cell;
use crate::shell::session::{Session, check};
use std::sync::Arc;

pub(super) fn run(session: &mut Session, command: RowCommand) -> Result<(), ShellError> {
    match command {
        RowCommand::Put { row, columns, when } => {
            let lsn = session.client.put_columns(&row.0, &columns, when.condition())?;
            written(session, lsn)
        }
        RowCommand::Get { row, columns, required } => get(session, &row.0, &columns, required),
        RowCommand::Del { row, columns, when } => {
            let lsn = session.client.delete_row(&row.0, &columns, when.condition())?;
            written(session, lsn)
        }
        RowCommand::Scan(arguments) => scan(session, &arguments),
    }
}

fn get(
    session: &mut Session,
    key: &[u8],
    columns: &[String],
    required: bool,
) -> Result<(), ShellError> {
    let Some(row) = session.client.row(key, columns)? else {
        let record = [("row", Cell::from(key.to_vec())), ("found", Cell::Flag(false))];
        return if required {
            Err(absent("row", key))
        } else {
            Ok(session.output.nothing(&record)?)
        };
    };
    let mut table = session.output.table(["column", "value"]);
    for (name, value) in row.columns {
        table.row([name.into(), value.into()])?;
    }
    table.finish()?;
    Ok(session.output.sentence(&format!("version {}", row.lsn))?)
}

/// A row too wide for a page goes on in the next: it counts once.
fn scan(session: &mut Session, arguments: &ScanArguments) -> Result<(), ShellError> {
    let (scope, client) = (arguments.scope(), session.client.clone());
    let (mut cursor, mut left) = (None, arguments.limit());
    let interrupted = Arc::clone(&session.interrupted);
    let mut table = session.output.table(["row", "column", "value", "lsn"]);
    let more = loop {
        let Some(items) = page_items(left) else { break cursor.is_some() };
        let (page, next) = client.row_page(&scope, items, cursor.as_deref())?;
        left = left.map(|left| left.saturating_sub(page.len() as u64));
        for row in page {
            for (name, value) in row.columns {
                table.row([row.key.clone().into(), name.into(), value.into(), row.lsn.into()])?;
            }
        }
        cursor = next;
        if cursor.is_none() {
            break false;
        }
        check(&interrupted)?;
    };
    let shown = table.finish()?;
    end_of_listing(session, shown, more)
}
