//! Addresses: `host:port`, with `[::1]:4000` for IPv6; port 0 takes a free one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why an address cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No colon between host and port.
    #[error("`{0}` is no address: write host:port")]
    Shape(String),
    /// The port is no number up to 65535.
    #[error("`{0}` is no port: use 0 to 65535")]
    Port(String),
}

/// A host and a port; the host is looked up when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name, IPv4 address, or IPv6 address without its brackets.
    pub host: String,
    /// Port; 0 lets the system choose when listening.
    pub port: u16,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Not at all: `off`.
    Off,
    /// At this address.
    At(Address),
}

impl Address {
    /// An address on this machine.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let shape = || AddressError::Shape(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(shape)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let usable = |host: &&str| !host.is_empty() && !host.contains(char::is_whitespace);
        let host = match bare {
            Some(ipv6) => Some(ipv6),
            None => Some(host).filter(|host| !host.contains([':', '[', ']', '/'])),
        };
        let host = host.filter(usable).ok_or_else(shape)?;
        let port = port.parse().map_err(|_| AddressError::Port(port.to_owned()))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl FromStr for Listen {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
