//! What can be wrong with a boot line.

use super::NAMESPACES_MAX;
use unison_base::NameError;

/// Most bytes of a wrong word that an error shows.
pub const WORD_MAX: usize = 48;
/// A word of the boot line, cut off when it is long.
pub type Word = heapless::String<WORD_MAX>;

/// Why a boot line cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BootArgumentError {
    /// A key that this version does not know.
    #[error("unknown boot argument `{key}`; did you mean `{nearest}`?")]
    Unknown {
        /// The key.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        key: Word,
        /// The known key that looks most like it.
        nearest: &'static str,
    },
    /// A word without `=`.
    #[error("boot argument `{word}` has no value; write `key=value`, without spaces in between")]
    NoValue {
        /// The word.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        word: Word,
    },
    /// A key that is there twice.
    #[error("boot argument `{key}` is given twice")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// Nobody to follow.
    #[error("boot argument `hub` is missing; give the hub's link, such as hub=10.0.2.2:4003")]
    HubMissing,
    /// The hub's address is none.
    #[error("hub={value}: not an IPv4 address and a port, such as 10.0.2.2:4003")]
    Hub {
        /// What was given.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        value: Word,
    },
    /// A namespace cannot have that name.
    #[error("namespace={value}: {source}")]
    Namespace {
        /// What was given.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        value: Word,
        /// The rule that it breaks.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        source: NameError,
    },
    /// More namespaces than the disk is divided for.
    #[error("namespace: more than the limit of {NAMESPACES_MAX} namespaces of one node")]
    TooManyNamespaces,
    /// The node's name is empty or too long.
    #[error("node={value}: a node's name has 1 to {} bytes", unison_link::NODE_ID_MAX)]
    Node {
        /// What was given.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        value: Word,
    },
    /// Neither `dhcp` nor an address with the size of its network.
    #[error("ip={value}: neither `dhcp` nor an address with its network, such as 10.0.2.15/24")]
    Ip {
        /// What was given.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        value: Word,
    },
    /// The gateway is no address.
    #[error("gateway={value}: not an IPv4 address, such as 10.0.2.2")]
    Gateway {
        /// What was given.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        value: Word,
    },
    /// A DHCP server says what the gateway is.
    #[error("gateway is for a fixed address: give ip=ADDRESS/LENGTH too, or leave it out")]
    GatewayWithDhcp,
    /// The port is none.
    #[error("{key}={value}: neither a port from 1 to 65535 nor `off`")]
    Port {
        /// Which.
        key: &'static str,
        /// What was given.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        value: Word,
    },
    /// The size is none, or too small or too large.
    #[error("memtable={value}: not a size from 64KiB to 1GiB, such as 4MiB")]
    Memtable {
        /// What was given.
        #[cfg_attr(feature = "defmt", defmt(Display2Format))]
        value: Word,
    },
}

/// As much of `text` as an error shows.
pub(super) fn word(text: &str) -> Word {
    let mut word = Word::new();
    for letter in text.chars() {
        if word.push(letter).is_err() {
            break;
        }
    }
    word
}
