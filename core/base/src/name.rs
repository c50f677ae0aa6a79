//! Namespace names: 1 to 64 bytes of `a-z 0-9 _ - .`, safe as a directory name.

use crate::limits::NAMESPACE_NAME_MAX;
use core::fmt;

/// A checked namespace name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(heapless::String<NAMESPACE_NAME_MAX>);

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or above the limit.
    #[error("a namespace name has 1 to {NAMESPACE_NAME_MAX} bytes, this one has {0}")]
    Length(usize),
    /// A character outside the set.
    #[error("a namespace name has only a-z 0-9 _ - . in it; byte {0} is something else")]
    Character(usize),
    /// `.` and `..` mean something else to a file system.
    #[error("a namespace name does not begin with a dot")]
    LeadingDot,
}

impl NamespaceName {
    /// Checks a name.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.')
        };
        if name.starts_with('.') {
            return Err(NameError::LeadingDot);
        }
        if let Some(at) = name.bytes().position(|byte| !allowed(byte)) {
            return Err(NameError::Character(at));
        }
        match heapless::String::try_from(name) {
            Ok(text) if !name.is_empty() => Ok(Self(text)),
            _ => Err(NameError::Length(name.len())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::{NameError, NamespaceName};

    #[test]
    fn names_are_safe_directory_names() {
        assert_eq!(NamespaceName::new("a-1_b.c").unwrap().as_str(), "a-1_b.c");
        assert_eq!(NamespaceName::new(""), Err(NameError::Length(0)));
        assert_eq!(NamespaceName::new(".."), Err(NameError::LeadingDot));
        assert_eq!(NamespaceName::new("a/b"), Err(NameError::Character(1)));
        assert_eq!(NamespaceName::new("Ab"), Err(NameError::Character(0)));
        let long = "a".repeat(65);
        assert_eq!(NamespaceName::new(&long), Err(NameError::Length(65)));
    }
}
