//! Names of events.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;
use unison_base::Lsn;

/// The name of an event: the record that made it happen, and which of that record's events it is,
/// counted from 0, those that a filter leaves out too. As text `<lsn>-<index>`.
///
/// As text without an index it names all of a record: what follows begins with the next one.
///
/// ```
/// use unison_base::Lsn;
/// use unison_engine::ChangeId;
///
/// let id: ChangeId = "12-3".parse()?;
/// assert_eq!(id, ChangeId { lsn: Lsn(12), index: 3 });
/// assert!(id < "12".parse()?);
/// assert_eq!(ChangeId::whole(Lsn(12)).to_string(), "12");
/// # Ok::<(), core::num::ParseIntError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId {
    /// The record: of a transaction its commit.
    pub lsn: Lsn,
    /// Which of its events.
    pub index: u32,
}

impl ChangeId {
    /// All of a record.
    #[must_use]
    pub const fn whole(lsn: Lsn) -> Self {
        Self { lsn, index: u32::MAX }
    }

    /// The first event that may come behind this one.
    pub(super) const fn next(self) -> Self {
        match self.index.checked_add(1) {
            Some(index) if index < u32::MAX => Self { lsn: self.lsn, index },
            _ => Self { lsn: self.lsn.next(), index: 0 },
        }
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            u32::MAX => write!(f, "{}", self.lsn),
            index => write!(f, "{}-{index}", self.lsn),
        }
    }
}

impl FromStr for ChangeId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        match text.split_once('-') {
            Some((lsn, index)) => Ok(Self { lsn: Lsn(lsn.parse()?), index: index.parse()? }),
            None => Ok(Self::whole(Lsn(text.parse()?))),
        }
    }
}
