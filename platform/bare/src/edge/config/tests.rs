use super::EdgeConfig;
use crate::net::Addressing;
use alloc::vec::Vec;
use std::format;
use std::string::{String, ToString};

fn config(line: &str) -> EdgeConfig {
    EdgeConfig::from_boot_arguments(line).unwrap()
}

fn error(line: &str) -> String {
    EdgeConfig::from_boot_arguments(line).unwrap_err().to_string()
}

#[test]
fn the_hub_alone_suffices() {
    let config = config(" hub=10.0.2.2:4003 ");
    assert_eq!(config.hub.to_string(), "10.0.2.2:4003");
    assert_eq!(config.namespaces.len(), 1);
    assert_eq!(config.namespaces[0].as_str(), "default");
    assert_eq!((config.node, config.addressing), (None, Addressing::Dhcp));
    assert_eq!((config.http, config.resp), (Some(80), Some(6379)));
    assert_eq!(config.memtable_bytes, 4 << 20);
}

#[test]
fn every_key_is_heard() {
    let config = config(
        "hub=1.2.3.4:5 namespace=a,b,a node=gw-7 ip=10.0.2.15/24 gateway=10.0.2.2 http=8080 resp=off memtable=256KiB",
    );
    assert_eq!(config.namespaces.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.node.as_deref(), Some("gw-7"));
    let Addressing::Static(address) = config.addressing else { panic!("{config:?}") };
    assert_eq!(address.cidr.to_string(), "10.0.2.15/24");
    assert_eq!(address.gateway.unwrap().to_string(), "10.0.2.2");
    assert_eq!((config.http, config.resp), (Some(8080), None));
    assert_eq!(config.memtable_bytes, 256 << 10);
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    for (line, said) in [
        ("", "boot argument `hub` is missing; give the hub's link, such as hub=10.0.2.2:4003"),
        ("hub", "boot argument `hub` has no value; write `key=value`, without spaces in between"),
        ("hub=a:1", "hub=a:1: not an IPv4 address and a port, such as 10.0.2.2:4003"),
        ("hub=0.0.0.0:1", "hub=0.0.0.0:1: not an IPv4 address and a port, such as 10.0.2.2:4003"),
        ("hub=1.2.3.4:0", "hub=1.2.3.4:0: not an IPv4 address and a port, such as 10.0.2.2:4003"),
        ("hub=1.2.3.4:1 hub=1.2.3.4:1", "boot argument `hub` is given twice"),
        ("hubb=1", "unknown boot argument `hubb`; did you mean `hub`?"),
        ("gatway=1", "unknown boot argument `gatway`; did you mean `gateway`?"),
        ("RESP=1", "unknown boot argument `RESP`; did you mean `resp`?"),
        ("namespaces=1", "unknown boot argument `namespaces`; did you mean `namespace`?"),
        ("hub=1.2.3.4:1 resp=0", "resp=0: neither a port from 1 to 65535 nor `off`"),
        ("hub=1.2.3.4:1 memtable=4MB", "memtable=4MB: not a size from 64KiB to 1GiB, such as 4MiB"),
        (
            "hub=1.2.3.4:1 memtable=2GiB",
            "memtable=2GiB: not a size from 64KiB to 1GiB, such as 4MiB",
        ),
        (
            "hub=1.2.3.4:1 ip=10.0.0.1",
            "ip=10.0.0.1: neither `dhcp` nor an address with its network, such as 10.0.2.15/24",
        ),
        (
            "hub=1.2.3.4:1 ip=10.0.0.1/33",
            "ip=10.0.0.1/33: neither `dhcp` nor an address with its network, such as 10.0.2.15/24",
        ),
        (
            "hub=1.2.3.4:1 gateway=1.2.3.4",
            "gateway is for a fixed address: give ip=ADDRESS/LENGTH too, or leave it out",
        ),
        (
            "hub=1.2.3.4:1 namespace=a,b,c,d,e",
            "namespace: more than the limit of 4 namespaces of one node",
        ),
        (
            "hub=1.2.3.4:1 namespace=A",
            "namespace=A: a namespace name has only a-z 0-9 _ - . in it; byte 0 is something else",
        ),
        ("hub=1.2.3.4:1 node=", "node=: a node's name has 1 to 64 bytes"),
    ] {
        assert_eq!(error(line), said, "{line}");
    }
}

#[test]
fn no_line_makes_it_panic_and_long_words_are_cut_off() {
    let long = "x".repeat(500);
    assert!(error(&format!("{long}=1")).len() < 120);
    assert!(error(&format!("hub={}", "\u{e9}".repeat(300))).len() < 200);
    for line in ["=", "==", "=1", "hub==", "hub=1.2.3.4:1 ip=/", "ip=dhcp gateway=", "\u{0}=\u{1}"]
    {
        assert!(EdgeConfig::from_boot_arguments(line).is_err(), "{line}");
    }
}
