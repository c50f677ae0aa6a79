//! This node's address: given, or asked for by DHCP.

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{IpCidr, Ipv4Address, Ipv4Cidr};

/// Where the address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// A DHCP server.
    #[default]
    Dhcp,
    /// Whoever configured this node.
    Static(Address),
}

/// An address and the way out of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address and its network.
    pub cidr: Ipv4Cidr,
    /// Where packets for other networks go.
    pub gateway: Option<Ipv4Address>,
}

/// News about the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressChange {
    /// There is one.
    Acquired(Address),
    /// There is none any more.
    Lost,
}

/// What is known of the address.
#[derive(Debug)]
pub(super) struct Lease {
    dhcp: Option<SocketHandle>,
    address: Option<Address>,
    told: Option<Address>,
}

impl Lease {
    pub(super) fn begin(
        addressing: Addressing,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) -> Self {
        match addressing {
            Addressing::Dhcp => {
                let dhcp = Some(sockets.add(dhcpv4::Socket::new()));
                Self { dhcp, address: None, told: None }
            }
            Addressing::Static(address) => {
                use_address(interface, Some(address));
                Self { dhcp: None, address: Some(address), told: None }
            }
        }
    }

    pub(super) const fn address(&self) -> Option<Address> {
        self.address
    }

    /// Takes what the DHCP server said, and tells of a change once.
    pub(super) fn look(
        &mut self,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) -> Option<AddressChange> {
        if let Some(dhcp) = self.dhcp {
            self.ask(interface, sockets.get_mut::<dhcpv4::Socket<'_>>(dhcp));
        }
        if self.told == self.address {
            return None;
        }
        self.told = self.address;
        Some(self.address.map_or(AddressChange::Lost, AddressChange::Acquired))
    }

    fn ask(&mut self, interface: &mut Interface, dhcp: &mut dhcpv4::Socket<'static>) {
        let address = match dhcp.poll() {
            None => return,
            Some(dhcpv4::Event::Deconfigured) => None,
            Some(dhcpv4::Event::Configured(lease)) => {
                Some(Address { cidr: lease.address, gateway: lease.router })
            }
        };
        if address != self.address {
            use_address(interface, address);
            self.address = address;
        }
    }
}

fn use_address(interface: &mut Interface, address: Option<Address>) {
    interface.update_ip_addrs(|present| {
        present.clear();
        // There is room for one more than none.
        let _ = address.map(|address| present.push(IpCidr::Ipv4(address.cidr)));
    });
    let routes = interface.routes_mut();
    let _ = match address.and_then(|address| address.gateway) {
        Some(gateway) => routes.add_default_ipv4_route(gateway).map(drop).is_ok(),
        None => routes.remove_default_ipv4_route().is_some(),
    };
}

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.gateway {
            Some(gateway) => write!(f, "{} by way of {gateway}", self.cidr),
            None => write!(f, "{}", self.cidr),
        }
    }
}
