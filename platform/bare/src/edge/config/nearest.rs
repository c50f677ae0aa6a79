//! The known word that was probably meant.

/// Letters that are looked at.
const LETTERS_MAX: usize = 16;

/// The one of `known` with the fewest edits from `word`; the first of those.
pub(super) fn nearest<const N: usize>(word: &str, known: &[&'static str; N]) -> &'static str {
    let by_distance = known.iter().min_by_key(|candidate| distance(word, candidate));
    by_distance.copied().unwrap_or_default()
}

/// Letters to insert, remove or replace.
fn distance(from: &str, to: &str) -> usize {
    let mut row: [usize; LETTERS_MAX + 1] = core::array::from_fn(|column| column);
    let columns = to.len().min(LETTERS_MAX);
    for (number, letter) in from.bytes().take(LETTERS_MAX).enumerate() {
        let mut diagonal = number;
        let mut left = number + 1;
        for (place, other) in row.iter_mut().skip(1).zip(to.bytes().take(LETTERS_MAX)) {
            let above = *place;
            let replaced = diagonal + usize::from(!letter.eq_ignore_ascii_case(&other));
            left = replaced.min(left + 1).min(above + 1);
            diagonal = above;
            *place = left;
        }
        if let Some(first) = row.first_mut() {
            *first = number + 1;
        }
    }
    row.get(columns).copied().unwrap_or(LETTERS_MAX)
}
