//! What a node is told when it boots: words of the form `key=value`.
//!
//! ```
//! use unison_bare::edge::EdgeConfig;
//!
//! let config = EdgeConfig::from_boot_arguments("hub=10.0.2.2:4003 namespace=default ip=dhcp")?;
//! assert_eq!(config.hub.to_string(), "10.0.2.2:4003");
//!
//! let error = EdgeConfig::from_boot_arguments("hub=10.0.2.2:4003 namespce=a").unwrap_err();
//! assert_eq!(error.to_string(), "unknown boot argument `namespce`; did you mean `namespace`?");
//! # Ok::<(), unison_bare::edge::BootArgumentError>(())
//! ```

mod error;
mod nearest;
mod values;

pub use error::{BootArgumentError, WORD_MAX, Word};

use crate::net::{Address, Addressing};
use core::fmt;
use smoltcp::wire::Ipv4Address;
use unison_base::NamespaceName;
use unison_link::NodeId;

/// Most namespaces that a node follows.
pub const NAMESPACES_MAX: usize = crate::medium::VOLUMES_MAX;

const HTTP_PORT: u16 = 80;
const RESP_PORT: u16 = 6379;
const MEMTABLE_BYTES: usize = 4 << 20;
/// The namespace that every hub has.
const DEFAULT_NAMESPACE: &str = "default";

/// The namespaces a node follows, in the order they were given.
pub type NamespaceList = heapless::Vec<NamespaceName, NAMESPACES_MAX>;

/// Where the hub's link listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubAddress {
    /// Its address.
    pub address: Ipv4Address,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

/// What a node is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeConfig {
    /// Whom to follow.
    pub hub: HubAddress,
    /// What to follow.
    pub namespaces: NamespaceList,
    /// This node's name; made of its hardware address when there is none.
    pub node: Option<NodeId>,
    /// Where this node's address comes from.
    pub addressing: Addressing,
    /// Port for HTTP; `None` for no HTTP.
    pub http: Option<u16>,
    /// Port for RESP; `None` for no RESP.
    pub resp: Option<u16>,
    /// Memory for what the tree has not taken yet, per namespace, bytes.
    pub memtable_bytes: usize,
}

/// The keys there are.
const KEYS: [&str; 8] = ["hub", "namespace", "node", "ip", "gateway", "http", "resp", "memtable"];

/// The value of each key, as text.
type Values<'a> = [Option<&'a str>; KEYS.len()];

impl EdgeConfig {
    /// Reads the words of a boot line. Only `hub` has to be there.
    ///
    /// # Errors
    /// Names the word that is wrong and what would be right.
    pub fn from_boot_arguments(line: &str) -> Result<Self, BootArgumentError> {
        let values = split(line)?;
        let [hub, namespace, node, ip, gateway, http, resp, memtable] = values;
        Ok(Self {
            hub: values::hub(hub.ok_or(BootArgumentError::HubMissing)?)?,
            namespaces: values::namespaces(namespace.unwrap_or(DEFAULT_NAMESPACE))?,
            node: node.map(values::node).transpose()?,
            addressing: addressing(ip, gateway)?,
            http: http.map_or(Ok(Some(HTTP_PORT)), |text| values::port("http", text))?,
            resp: resp.map_or(Ok(Some(RESP_PORT)), |text| values::port("resp", text))?,
            memtable_bytes: memtable.map_or(Ok(MEMTABLE_BYTES), values::memtable)?,
        })
    }
}

fn split(line: &str) -> Result<Values<'_>, BootArgumentError> {
    let mut values: Values<'_> = [None; KEYS.len()];
    for word in line.split_ascii_whitespace() {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| BootArgumentError::NoValue { word: error::word(word) })?;
        let mut known = KEYS.iter().zip(&mut values);
        let Some((key, place)) = known.find(|(name, _)| **name == key) else {
            let nearest = nearest::nearest(key, &KEYS);
            return Err(BootArgumentError::Unknown { key: error::word(key), nearest });
        };
        if place.replace(value).is_some() {
            return Err(BootArgumentError::Twice { key });
        }
    }
    Ok(values)
}

fn addressing(ip: Option<&str>, gateway: Option<&str>) -> Result<Addressing, BootArgumentError> {
    match (ip, gateway) {
        (None | Some("dhcp"), None) => Ok(Addressing::Dhcp),
        (None | Some("dhcp"), Some(_)) => Err(BootArgumentError::GatewayWithDhcp),
        (Some(ip), gateway) => Ok(Addressing::Static(Address {
            cidr: values::cidr(ip)?,
            gateway: gateway.map(values::gateway).transpose()?,
        })),
    }
}

#[cfg(test)]
mod tests;
