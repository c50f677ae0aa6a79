//! What answers look like: tables for people, lines for pipes, JSON for programs.

mod cell;
mod table;

pub(super) use cell::Cell;
pub(super) use table::Table;

use serde_json::Value;
use std::io::{self, Write};

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Aligned, cut to the width of a screen, with sentences.
    Tables,
    /// Fields with tabs between them, nothing else.
    Lines,
    /// An object a line.
    Json,
}

/// Where answers go.
pub(super) struct Output {
    out: Box<dyn Write>,
    style: Style,
    /// Whether answers to writes are left out.
    quiet: bool,
}

/// Named fields.
pub(super) type Record<'a> = &'a [(&'static str, Cell)];

impl Output {
    pub(super) fn new(out: Box<dyn Write>, style: Style, quiet: bool) -> Self {
        Self { out, style, quiet }
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// The answer to a write: a sentence on a terminal, else its fields.
    pub(super) fn done(&mut self, sentence: &str, record: Record<'_>) -> io::Result<()> {
        match self.style {
            _ if self.quiet => Ok(()),
            Style::Tables => self.sentence(sentence),
            Style::Lines | Style::Json => self.record(record),
        }
    }

    /// One value as it is. A terminal gets no control characters; a pipe gets the very bytes.
    pub(super) fn value(&mut self, value: &[u8], record: Record<'_>) -> io::Result<()> {
        match self.style {
            Style::Tables => writeln!(self.out, "{}", cell::printable(value))?,
            Style::Lines => {
                self.out.write_all(value)?;
                self.out.write_all(b"\n")?;
            }
            Style::Json => return self.record(record),
        }
        self.out.flush()
    }

    /// The answer when nothing is there: a pipe gets no line.
    pub(super) fn nothing(&mut self, record: Record<'_>) -> io::Result<()> {
        match self.style {
            Style::Tables => self.sentence("nothing there"),
            Style::Lines => Ok(()),
            Style::Json => self.record(record),
        }
    }

    /// What only people want to read.
    pub(super) fn sentence(&mut self, sentence: &str) -> io::Result<()> {
        if self.style == Style::Tables {
            writeln!(self.out, "{sentence}")?;
        }
        self.out.flush()
    }

    /// Text that was asked for, in any style.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", text.trim_end())?;
        self.out.flush()
    }

    /// Fields with tabs between them, on a terminal too: more come later, and nobody knows how wide.
    pub(super) fn fields(&mut self, fields: &[Cell]) -> io::Result<()> {
        let fields: Vec<_> = fields.iter().map(Cell::escaped).collect();
        writeln!(self.out, "{}", fields.join("\t"))?;
        self.out.flush()
    }

    /// A whole document as one line of JSON.
    pub(super) fn document(&mut self, document: &Value) -> io::Result<()> {
        writeln!(self.out, "{document}")?;
        self.out.flush()
    }

    /// A table; its rows follow.
    pub(super) fn table<const N: usize>(&mut self, columns: [&'static str; N]) -> Table<'_, N> {
        Table::new(self, columns)
    }

    fn record(&mut self, record: Record<'_>) -> io::Result<()> {
        match self.style {
            Style::Json => writeln!(self.out, "{}", cell::object(record))?,
            Style::Tables | Style::Lines => {
                let fields: Vec<_> = record.iter().map(|(_, cell)| cell.escaped()).collect();
                writeln!(self.out, "{}", fields.join("\t"))?;
            }
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
