//! The namespaces an edge follows: `a,b` as text, `["a", "b"]` in a file.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unison_base::{NameError, NamespaceName};

/// At least one namespace name, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceList(Vec<NamespaceName>);

impl NamespaceList {
    /// The names in the order they were given.
    #[must_use]
    pub fn names(&self) -> &[NamespaceName] {
        &self.0
    }

    /// The namespace that always exists.
    #[must_use]
    pub(super) fn only_default() -> Self {
        Self(NamespaceName::new(crate::DEFAULT_NAMESPACE).into_iter().collect())
    }

    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, NameError> {
        let mut list: Vec<NamespaceName> = Vec::new();
        for name in names {
            let name = NamespaceName::new(name.trim())?;
            if !list.contains(&name) {
                list.push(name);
            }
        }
        if list.is_empty() { Err(NameError::Length(0)) } else { Ok(Self(list)) }
    }
}

impl FromStr for NamespaceList {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::of(text.split(','))
    }
}

impl fmt::Display for NamespaceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(NamespaceName::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl Serialize for NamespaceList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(NamespaceName::as_str))
    }
}

impl<'de> Deserialize<'de> for NamespaceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = NamespaceList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a namespace, several with commas between them, or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<NamespaceList, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<NamespaceList, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = sequence.next_element::<String>()? {
            names.push(name);
        }
        NamespaceList::of(names.iter().map(String::as_str)).map_err(de::Error::custom)
    }
}
