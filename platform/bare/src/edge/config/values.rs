//! The values of single keys.

use super::error::{BootArgumentError, word};
use super::{HubAddress, NamespaceList};
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};
use unison_base::NamespaceName;
use unison_link::NodeId;

const MEMTABLE_BYTES_MIN: usize = 64 << 10;
const MEMTABLE_BYTES_MAX: usize = 1 << 30;
const PREFIX_LENGTH_MAX: u8 = 32;
const UNITS: [(&str, usize); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

pub(super) fn hub(text: &str) -> Result<HubAddress, BootArgumentError> {
    let parse = || {
        let (address, port) = text.split_once(':')?;
        let address = address.parse::<Ipv4Address>().ok().filter(|it| !it.is_unspecified())?;
        Some(HubAddress { address, port: number(port)? })
    };
    parse().ok_or_else(|| BootArgumentError::Hub { value: word(text) })
}

pub(super) fn namespaces(text: &str) -> Result<NamespaceList, BootArgumentError> {
    let mut list = NamespaceList::new();
    for name in text.split(',') {
        let name = NamespaceName::new(name)
            .map_err(|source| BootArgumentError::Namespace { value: word(name), source })?;
        if !list.contains(&name) {
            list.push(name).map_err(|_| BootArgumentError::TooManyNamespaces)?;
        }
    }
    Ok(list)
}

pub(super) fn node(text: &str) -> Result<NodeId, BootArgumentError> {
    let name = NodeId::try_from(text).ok().filter(|name| !name.is_empty());
    name.ok_or_else(|| BootArgumentError::Node { value: word(text) })
}

pub(super) fn cidr(text: &str) -> Result<Ipv4Cidr, BootArgumentError> {
    let parse = || {
        let (address, length) = text.split_once('/')?;
        let length = length.parse::<u8>().ok().filter(|length| *length <= PREFIX_LENGTH_MAX)?;
        let address = address.parse::<Ipv4Address>().ok().filter(|it| !it.is_unspecified())?;
        Some(Ipv4Cidr::new(address, length))
    };
    parse().ok_or_else(|| BootArgumentError::Ip { value: word(text) })
}

pub(super) fn gateway(text: &str) -> Result<Ipv4Address, BootArgumentError> {
    let address = text.parse::<Ipv4Address>().ok().filter(|it| !it.is_unspecified());
    address.ok_or_else(|| BootArgumentError::Gateway { value: word(text) })
}

pub(super) fn port(key: &'static str, text: &str) -> Result<Option<u16>, BootArgumentError> {
    if text == "off" {
        return Ok(None);
    }
    let port = number(text).ok_or_else(|| BootArgumentError::Port { key, value: word(text) })?;
    Ok(Some(port))
}

/// A port that can be connected to.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

pub(super) fn memtable(text: &str) -> Result<usize, BootArgumentError> {
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (digits, unit_bytes) = unit.unwrap_or((text, 1));
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit_bytes));
    let bytes = bytes.filter(|bytes| (MEMTABLE_BYTES_MIN..=MEMTABLE_BYTES_MAX).contains(bytes));
    bytes.ok_or_else(|| BootArgumentError::Memtable { value: word(text) })
}
