//! Names of topics, and filters over them.

use alloc::string::String;
use unison_base::limits::{TOPIC_LEVELS_MAX, TOPIC_NAME_MAX};

const SEPARATOR: char = '/';
const ONE: &str = "+";
const REST: &str = "#";
/// The same in the way of writing with `.` for `/`.
const DOTTED_ONE: &str = "*";
const DOTTED_REST: &str = "...";
/// Topics whose names begin with this are of the system: no leading wildcard finds them.
const SYSTEM: char = '$';

/// Why a text is no name of a topic, or no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// It is empty or too long.
    #[error("a topic or filter has 1 to {limit} bytes, this one has {bytes}")]
    Length {
        /// Bytes of the text.
        bytes: usize,
        /// Most bytes of a text.
        limit: usize,
    },
    /// It has too many levels.
    #[error("a topic or filter has at most {limit} levels, this one has {levels}")]
    Levels {
        /// Levels of the text.
        levels: usize,
        /// Most levels of a text.
        limit: usize,
    },
    /// It has a zero character.
    #[error("a topic or filter has no character U+0000")]
    Zero,
    /// The name of a topic has a wildcard.
    #[error("the name of a topic has no `+` and no `#`")]
    Wildcard,
    /// The name of a topic has a wildcard of the dotted way of writing.
    #[error("the dotted name of a topic has no `*` and no `...`")]
    DottedWildcard,
    /// A wildcard shares its level with other characters, or `#` is not last.
    #[error("a wildcard is a level of its own, and `#` is the last one")]
    WildcardPlace,
    /// A dotted text has a character that is special in the other way of writing.
    #[error("a dotted topic or filter has no `/`, `+` and `#`")]
    Dotted,
}

/// One level of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level<'a> {
    Literal(&'a str),
    /// `+`: exactly one level.
    One,
    /// `#`: any number of levels.
    Rest,
}

/// What messages are asked for by, and what a pattern publish addresses: the name of a topic in
/// which `+` stands for exactly one level, and `#`, last only, for any number of levels, none
/// included. A wildcard at the beginning finds no topic whose name begins with `$`.
///
/// ```
/// use unison_engine::TopicFilter;
///
/// let filter = TopicFilter::new("site/+/door/#")?;
/// assert!(filter.matches("site/7/door") && filter.matches("site/7/door/lock"));
/// assert!(!filter.matches("site/door"));
/// assert_eq!(TopicFilter::from_dotted("site.*.door...")?, filter);
/// # Ok::<(), unison_engine::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicFilter {
    text: String,
}

impl TopicFilter {
    /// A filter, or the name of one topic.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        check_text(text)?;
        let mut levels = text.split(SEPARATOR).peekable();
        while let Some(level) = levels.next() {
            let alone = level == ONE || level == REST && levels.peek().is_none();
            if level.contains(['+', '#']) && !alone {
                return Err(TopicError::WildcardPlace);
            }
        }
        Ok(Self { text: text.into() })
    }

    /// A filter in the way of writing with `.` for `/`, `*` for `+`, and `...` at the end for `/#`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_dotted(text: &str) -> Result<Self, TopicError> {
        let (above, rest) = match text.strip_suffix(DOTTED_REST) {
            Some("") => return Self::new(REST),
            Some(above) => (above, Some(REST)),
            None => (text, None),
        };
        if above.contains(DOTTED_REST) {
            return Err(TopicError::WildcardPlace);
        }
        let mut whole = String::new();
        for level in slashed(above)?.split(SEPARATOR).chain(rest) {
            if level.contains(DOTTED_ONE) && level != DOTTED_ONE {
                return Err(TopicError::WildcardPlace);
            }
            whole.push_str(if level == DOTTED_ONE { ONE } else { level });
            whole.push(SEPARATOR);
        }
        whole.pop();
        Self::new(&whole)
    }

    /// The text, with `/`, `+` and `#`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True without wildcards: it names one topic.
    #[must_use]
    pub fn is_topic(&self) -> bool {
        !self.text.contains(['+', '#'])
    }

    /// Whether it finds the topic of that name.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        if self.begins_with_wildcard() && topic.starts_with(SYSTEM) {
            return false;
        }
        let mut names = topic.split(SEPARATOR);
        for level in self.levels() {
            match (level, names.next()) {
                (Level::Rest, _) => return true,
                (Level::One, Some(_)) => {}
                (Level::Literal(literal), Some(name)) if literal == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// Whether there could be a topic that both find.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let blind =
            |one: &Self, other: &Self| one.begins_with_wildcard() && other.text.starts_with(SYSTEM);
        if blind(self, other) || blind(other, self) {
            return false;
        }
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(Level::Rest), _) | (_, Some(Level::Rest)) | (None, None) => return true,
                (Some(Level::Literal(one)), Some(Level::Literal(two))) if one != two => {
                    return false;
                }
                (Some(_), Some(_)) => {}
                (Some(_), None) | (None, Some(_)) => return false,
            }
        }
    }

    /// Whether it finds every topic that the other one finds.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.begins_with_wildcard() && other.text.starts_with(SYSTEM) {
            return false;
        }
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(Level::Rest), _) | (None, None) => return true,
                (Some(Level::One), Some(Level::One | Level::Literal(_))) => {}
                (Some(Level::Literal(one)), Some(Level::Literal(two))) if one == two => {}
                _ => return false,
            }
        }
    }

    pub(crate) fn levels(&self) -> impl Iterator<Item = Level<'_>> {
        self.text.split(SEPARATOR).map(|level| match level {
            ONE => Level::One,
            REST => Level::Rest,
            literal => Level::Literal(literal),
        })
    }

    pub(crate) fn begins_with_wildcard(&self) -> bool {
        self.text.starts_with(['+', '#'])
    }
}

/// Whether a name's first level belongs to the system.
pub(crate) fn is_of_system(first_level: &str) -> bool {
    first_level.starts_with(SYSTEM)
}

/// Refuses a text that is no topic's name: stored as it is, case and all.
pub(crate) fn check_topic(name: &str) -> Result<(), TopicError> {
    check_text(name)?;
    if name.contains(['+', '#']) { Err(TopicError::Wildcard) } else { Ok(()) }
}

/// The name of a topic in the way of writing with `.` for `/`.
///
/// # Errors
/// [`TopicError::Dotted`] when it has a character that is special in the other way of writing,
/// [`TopicError::DottedWildcard`] when it has one that is in this. The rest is checked when the name
/// is used.
pub fn topic_from_dotted(name: &str) -> Result<String, TopicError> {
    if name.contains(DOTTED_ONE) || name.contains(DOTTED_REST) {
        return Err(TopicError::DottedWildcard);
    }
    slashed(name)
}

fn slashed(name: &str) -> Result<String, TopicError> {
    if name.contains([SEPARATOR, '+', '#']) {
        return Err(TopicError::Dotted);
    }
    Ok(name.replace('.', "/"))
}

fn check_text(text: &str) -> Result<(), TopicError> {
    let bytes = text.len();
    if bytes == 0 || bytes > TOPIC_NAME_MAX {
        return Err(TopicError::Length { bytes, limit: TOPIC_NAME_MAX });
    }
    if text.contains('\0') {
        return Err(TopicError::Zero);
    }
    let levels = text.split(SEPARATOR).count();
    if levels > TOPIC_LEVELS_MAX {
        return Err(TopicError::Levels { levels, limit: TOPIC_LEVELS_MAX });
    }
    Ok(())
}
