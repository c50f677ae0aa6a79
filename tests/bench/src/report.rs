//! The table that is printed.

use std::fmt;

struct Row {
    what: String,
    ours: String,
    reference: String,
    ratio: String,
}

/// Rows in the order they were measured.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

impl Report {
    /// A row; the ratio is worked out by the caller, since more is better in some and worse in
    /// others.
    pub(crate) fn row(&mut self, what: &str, ours: String, reference: String, ratio: String) {
        eprintln!("{what}: {ours} | {reference} | {ratio}");
        self.0.push(Row { what: what.to_owned(), ours, reference, ratio });
    }

    /// Rates, in operations a second: the ratio says how many times the reference we do.
    pub(crate) fn rate(&mut self, what: &str, ours: f64, peer: &str, reference: f64) {
        let peer = format!("{peer} {}", human(reference));
        self.row(what, human(ours), peer, format!("{:.2}x", ours / reference));
    }
}

/// `1234567.0` as `1.23 M/s`.
pub(crate) fn human(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M/s", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1} k/s", rate / 1e3),
        rate => format!("{rate:.0} /s"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | ours | reference | ratio |\n|---|---|---|---|")?;
        self.0.iter().try_for_each(|row| {
            writeln!(f, "| {} | {} | {} | {} |", row.what, row.ours, row.reference, row.ratio)
        })
    }
}
