//! Configuration of both binaries: a flag beats the environment, which beats the TOML file, which
//! beats the default. All three use the same names: `--data-dir`, `UNISON_DATA_DIR`, `data_dir`.

use std::path::{Path, PathBuf};

mod address;
mod edge;
mod file;
mod hub;
mod keys;
mod logging;
mod names;
mod origins;
mod ports;
mod units;

#[cfg(test)]
mod tests;

pub use address::{Address, AddressError, Listen};
pub use edge::{EdgeConfig, EdgeSettings};
pub use hub::{DurabilityLevel, HubConfig, HubSettings};
pub use keys::{KeysError, load_keys};
pub use logging::{LogFormat, LogLevel, start_logging};
pub use names::NamespaceList;
pub use origins::{OriginError, Origins};
pub use ports::{Ports, PortsFileError};
pub use units::{ByteSize, Span, UnitError};

/// Why a configuration cannot be used. Every variant is exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not TOML, or a value that its key cannot have.
    #[error("{}, line {line}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A key that does not exist.
    #[error("{}, line {line}: there is no key `{key}`; the nearest is `{nearest}`", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Line from 1.
        line: usize,
        /// The key as written.
        key: String,
        /// The known key closest to it.
        nearest: String,
    },
    /// A value outside its bounds.
    #[error("--{name} is {value}, but has to lie between {least} and {most}")]
    Bounds {
        /// The flag.
        name: &'static str,
        /// The value asked for.
        value: ByteSize,
        /// The smallest possible.
        least: ByteSize,
        /// The largest possible.
        most: ByteSize,
    },
    /// A number that is too small.
    #[error("--{name} is 0, but has to be at least 1")]
    Zero {
        /// The flag.
        name: &'static str,
    },
    /// The configuration cannot be shown as a file.
    #[error("the configuration cannot be shown: {0}")]
    Show(#[from] toml::ser::Error),
    /// A server that this build does not have.
    #[error("--{name}: this program was built without the feature `{name}`")]
    NotBuilt {
        /// The flag, and the feature.
        name: &'static str,
    },
    /// The keys of namespaces cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A log that lets records go cannot be followed from its beginning.
    #[error(
        "--keep-bytes and --keep-time go with --link off only: an edge that comes after the log has let \
         records go could not begin"
    )]
    KeepsForFollowers,
    /// Something that has no default is not given.
    #[error("--{name} is needed: {purpose}")]
    Missing {
        /// The flag.
        name: &'static str,
        /// What it is for.
        purpose: &'static str,
    },
}

/// One layer of settings: every value may be absent.
trait Settings: clap::Args + serde::de::DeserializeOwned + Default {
    /// The file this layer names.
    fn config(&self) -> Option<&Path>;
    /// This layer over a lower one.
    fn over(self, lower: Self) -> Self;

    /// This layer over the file it names.
    fn with_file(self) -> Result<Self, ConfigError> {
        match self.config() {
            None => Ok(self),
            Some(path) => {
                let lower = file::load(path)?;
                Ok(self.over(lower))
            }
        }
    }
}

/// Implements [`Settings`] for a struct of options; a field that is left out does not compile.
macro_rules! layered {
    ($settings:ident { $($field:ident),* $(,)? }) => {
        impl super::Settings for $settings {
            fn config(&self) -> Option<&std::path::Path> {
                self.config.as_deref()
            }

            fn over(self, lower: Self) -> Self {
                Self { $($field: self.$field.or(lower.$field)),* }
            }
        }
    };
}
use layered;

/// Where a server listens that is off unless it is asked for, and may not be built in.
fn optional_server(
    name: &'static str,
    built: bool,
    asked: Option<Listen>,
) -> Result<Listen, ConfigError> {
    match asked.unwrap_or(Listen::Off) {
        Listen::At(_) if !built => Err(ConfigError::NotBuilt { name }),
        listen => Ok(listen),
    }
}

/// A configuration as the file that leads to it, every setting but those that have no default.
///
/// # Errors
/// A path in it is no text.
pub fn as_file(config: &impl serde::Serialize) -> Result<String, ConfigError> {
    Ok(toml::to_string(config)?)
}

/// The data directory: where the node is started unless told otherwise.
fn data_directory(asked: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    let directory = asked.unwrap_or_else(|| PathBuf::from("unison-data"));
    if directory.as_os_str().is_empty() {
        return Err(ConfigError::Missing { name: "data-dir", purpose: "it names no directory" });
    }
    Ok(directory)
}

/// How many connections there may be: a node with none would answer nobody.
fn connections(asked: Option<u32>) -> Result<u32, ConfigError> {
    match asked {
        Some(0) => Err(ConfigError::Zero { name: "connections-max" }),
        Some(count) => Ok(count),
        None => Ok(hub::CONNECTIONS_DEFAULT),
    }
}

fn within(
    name: &'static str,
    value: ByteSize,
    (least, most): (u64, u64),
) -> Result<ByteSize, ConfigError> {
    if (least..=most).contains(&value.0) {
        return Ok(value);
    }
    Err(ConfigError::Bounds { name, value, least: ByteSize(least), most: ByteSize(most) })
}
