//! Patterns of `KEYS`, `SCAN MATCH` and `CONFIG GET`: `*`, `?`, `[a-c]`, `[^a]`, `\` before any.

/// Whether all of `text` matches. At most `pattern.len() * text.len()` steps: only the newest `*` is
/// ever tried again.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', after @ ..] = pattern {
            retry = Some((after, text));
            pattern = after;
            continue;
        }
        if let Some((after, rest)) = one(pattern, text) {
            (pattern, text) = (after, rest);
            continue;
        }
        if pattern.is_empty() && text.is_empty() {
            return true;
        }
        let Some((after, [_, shorter @ ..])) = retry else { return false };
        retry = Some((after, shorter));
        (pattern, text) = (after, shorter);
    }
}

/// The literal bytes every match begins with.
#[must_use]
pub fn prefix(pattern: &[u8]) -> &[u8] {
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    let end = pattern.iter().position(special).unwrap_or(pattern.len());
    pattern.get(..end).unwrap_or_default()
}

/// Matches one byte of text; what remains of both, or `None`.
fn one<'a>(pattern: &'a [u8], text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (byte, rest) = text.split_first()?;
    let (matched, after) = match pattern {
        [] => return None,
        [b'?', after @ ..] => (true, after),
        [b'[', class @ ..] => in_class(class, *byte),
        [b'\\', literal, after @ ..] | [literal, after @ ..] => (literal == byte, after),
    };
    matched.then_some((after, rest))
}

/// A class without its `[`; an unclosed one ends with the pattern.
fn in_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    loop {
        let (low, high, rest) = match class {
            [] => return (found != negated, class),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', literal, rest @ ..] => (literal, literal, rest),
            [low, b'-', high, rest @ ..] => (low.min(high), low.max(high), rest),
            [literal, rest @ ..] => (literal, literal, rest),
        };
        found |= (*low..=*high).contains(&byte);
        class = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, prefix};

    #[test]
    fn patterns_as_redis_reads_them() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h[a-b", "ha", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("user:*:name", "user:7:name", true),
            ("*end", "the end", true),
            ("\\", "\\", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_stars_is_not_exponential() {
        let pattern = "a*".repeat(2_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(4_000).as_bytes()));
    }

    #[test]
    fn the_literal_start_bounds_a_scan() {
        assert_eq!(prefix(b"user:*"), b"user:");
        assert_eq!(prefix(b"a\\*b"), b"a");
        assert_eq!(prefix(b"plain"), b"plain");
    }
}
