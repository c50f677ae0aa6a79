//! Rows under their headings.

use super::{Cell, Output, Style};
use std::io::{self, Write as _};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Rows that are gathered before a column's width is decided.
const GATHERED_MAX: usize = 500;
/// Widest column of a table; what is wider is cut.
const COLUMN_WIDTH_MAX: usize = 64;

/// How a column stands: as wide as its first rows need, numbers at its right edge.
#[derive(Clone, Copy, Debug)]
struct Column {
    width: usize,
    right: bool,
}

type Shape<const N: usize> = [Column; N];

/// A table that is being written. On a terminal the first rows decide how wide columns are.
pub(in crate::shell) struct Table<'a, const N: usize> {
    output: &'a mut Output,
    columns: [&'static str; N],
    gathered: Vec<[Cell; N]>,
    shape: Option<Shape<N>>,
    rows: u64,
}

impl<'a, const N: usize> Table<'a, N> {
    pub(super) fn new(output: &'a mut Output, columns: [&'static str; N]) -> Self {
        Self { output, columns, gathered: Vec::new(), shape: None, rows: 0 }
    }

    /// Adds a row.
    pub(in crate::shell) fn row(&mut self, row: [Cell; N]) -> io::Result<()> {
        self.rows += 1;
        match self.output.style {
            Style::Tables => {
                self.gathered.push(row);
                if self.gathered.len() >= GATHERED_MAX { self.print() } else { Ok(()) }
            }
            Style::Lines | Style::Json => {
                let mut cells = row.into_iter();
                let record =
                    self.columns.map(|name| (name, cells.next().unwrap_or(Cell::Number(0))));
                self.output.record(&record)
            }
        }
    }

    /// Writes what is left. Returns how many rows there were.
    pub(in crate::shell) fn finish(mut self) -> io::Result<u64> {
        if self.rows > 0 {
            self.print()?;
        }
        self.output.out.flush()?;
        Ok(self.rows)
    }

    fn print(&mut self) -> io::Result<()> {
        if self.output.style != Style::Tables {
            return Ok(());
        }
        let shape = match self.shape {
            Some(shape) => shape,
            None => self.head()?,
        };
        for row in std::mem::take(&mut self.gathered) {
            line(&mut self.output.out, row.iter().map(Cell::escaped), &shape)?;
        }
        Ok(())
    }

    fn head(&mut self) -> io::Result<Shape<N>> {
        let mut shape = self.columns.map(|name| Column { width: name.len(), right: true });
        for row in &self.gathered {
            for (column, cell) in shape.iter_mut().zip(row) {
                column.width = column.width.max(cell.escaped().width()).min(COLUMN_WIDTH_MAX);
                column.right &= cell.is_number();
            }
        }
        line(&mut self.output.out, self.columns.iter().map(|name| name.to_uppercase()), &shape)?;
        self.shape = Some(shape);
        Ok(shape)
    }
}

/// Cells at their places, two blanks between them.
fn line(
    out: &mut dyn io::Write,
    cells: impl Iterator<Item = String>,
    shape: &[Column],
) -> io::Result<()> {
    let mut text = String::new();
    for (cell, column) in cells.zip(shape) {
        let cell = cut(cell, column.width);
        let blanks = " ".repeat(column.width.saturating_sub(cell.width()));
        if !text.is_empty() {
            text.push_str("  ");
        }
        let (first, second) = if column.right { (blanks, cell) } else { (cell, blanks) };
        text.push_str(&first);
        text.push_str(&second);
    }
    writeln!(out, "{}", text.trim_end())
}

/// As much of a text as fits, with a mark where something is missing.
fn cut(text: String, width: usize) -> String {
    if text.width() <= width {
        return text;
    }
    let mut left = width.saturating_sub(1);
    let fits = |letter: &char| {
        let width = letter.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut text: String = text.chars().take_while(fits).collect();
    text.push('\u{2026}');
    text
}
