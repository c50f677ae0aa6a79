//! The TOML layer: known keys only, and every complaint with its line.

use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::{ConfigError, Settings};

/// Reads the file at `path` as one layer of settings.
pub(super) fn load<S: Settings>(path: &Path) -> Result<S, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let complain = |error: toml::de::Error| ConfigError::Value {
        path: path.to_owned(),
        line: line_of(&text, error.span()),
        message: error.message().to_owned(),
    };
    let table = DeTable::parse(&text).map_err(complain)?;
    let known = known_keys::<S>();
    for key in table.get_ref().keys() {
        let name = key.get_ref().as_ref();
        if !known.iter().any(|known| known == name) {
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                line: line_of(&text, Some(key.span())),
                key: name.to_owned(),
                nearest: nearest(name, &known),
            });
        }
    }
    toml::from_str(&text).map_err(complain)
}

/// The names of all flags but the one that names the file itself.
fn known_keys<S: Settings>() -> Vec<String> {
    let command = S::augment_args(clap::Command::new(""));
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    names.filter(|name| *name != "config").map(|name| name.replace('-', "_")).collect()
}

fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let start = span.map_or(0, |span| span.start);
    text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
}

/// The known key with the fewest edits to `key`; the first of several.
fn nearest(key: &str, known: &[String]) -> String {
    known.iter().min_by_key(|known| edits(key, known)).cloned().unwrap_or_default()
}

/// Insertions, deletions and replacements that turn `from` into `to` (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.bytes().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(to.bytes()) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::edits;

    #[test]
    fn edit_distances_known_by_heart() {
        for (from, to, distance) in
            [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("same", "same", 0)]
        {
            assert_eq!(edits(from, to), distance, "{from} {to}");
        }
    }
}
