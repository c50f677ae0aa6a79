//! Rows: columns that merge.

use super::{absent, list_pages, written};
use crate::shell::commands::{RowCommand, ScanArguments};
use crate::shell::error::ShellError;
use crate::shell::output::Cell;
use crate::shell::session::Session;

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
    let pages = |items, cursor: Option<&str>| client.row_page(&scope, items, cursor);
    list_pages(
        session,
        ["row", "column", "value", "lsn"],
        arguments.limit(),
        pages,
        |table, row| {
            for (name, value) in row.columns {
                table.row([row.key.clone().into(), name.into(), value.into(), row.lsn.into()])?;
            }
            Ok(())
        },
    )
}
