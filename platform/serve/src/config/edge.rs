//! What an edge is told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::hub::MEMTABLE_BYTES;
use super::{
    Address, ByteSize, ConfigError, Listen, LogFormat, LogLevel, NamespaceList, Origins, Settings,
    layered,
};

/// One layer of an edge's settings, as flags and environment or as a file give them.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default)]
pub struct EdgeSettings {
    /// The hub to follow
    #[arg(long, env = "UNISON_HUB", value_name = "HOST:PORT")]
    pub hub: Option<Address>,
    /// Namespaces to follow, with commas between them [default: default]
    #[arg(long, env = "UNISON_NAMESPACE", value_name = "NS[,NS...]")]
    pub namespace: Option<NamespaceList>,
    /// Directory of the data [default: ./unison-data]
    #[arg(long, env = "UNISON_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where HTTP listens, or `off` [default: 127.0.0.1:4100]
    #[arg(long, env = "UNISON_HTTP", value_name = "ADDR")]
    pub http: Option<Listen>,
    /// Whose web pages may use HTTP: origins with commas, `*`, or `off` [default: off]
    #[arg(long, env = "UNISON_HTTP_ALLOW_ORIGIN", value_name = "ORIGIN")]
    pub http_allow_origin: Option<Origins>,
    /// Where RESP (the protocol of Redis) listens, or `off` [default: 127.0.0.1:4102]
    #[arg(long, env = "UNISON_RESP", value_name = "ADDR")]
    pub resp: Option<Listen>,
    /// Where ZeroMQ subscribers connect, or `off` [default: off]
    #[arg(long, env = "UNISON_ZEROMQ", value_name = "ADDR")]
    pub zeromq: Option<Listen>,
    /// File that gets the addresses as JSON once everything listens
    #[arg(long, env = "UNISON_PORTS_FILE", value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
    /// TOML file with the same settings, `_` for `-`
    #[arg(long, env = "UNISON_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Memory for records that are not in the tree yet, per namespace [default: 4MiB]
    #[arg(long, env = "UNISON_MEMTABLE_SIZE", value_name = "SIZE")]
    pub memtable_size: Option<ByteSize>,
    /// Most connections each server accepts at a time [default: 4096]
    #[arg(long, env = "UNISON_CONNECTIONS_MAX", value_name = "COUNT")]
    pub connections_max: Option<u32>,
    /// Most watchers of all protocols at a time [default: 4096]
    #[arg(long, env = "UNISON_WATCHERS_MAX", value_name = "COUNT")]
    pub watchers_max: Option<u32>,
    /// Directory under which `wal/backup` and `btree/backup` may write; without it they are refused
    #[arg(long, env = "UNISON_BACKUP_DIR", value_name = "DIR")]
    pub backup_dir: Option<PathBuf>,
    /// TOML file with the master keys of namespaces (`name = "64 hexadecimal digits"`), for the owner alone; without it the keys in UNISON_KEYS
    #[arg(long, env = "UNISON_KEYS_FILE", value_name = "FILE")]
    pub keys_file: Option<PathBuf>,
    /// Shape of the log on stderr [default: text]
    #[arg(long, env = "UNISON_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// What the log holds [default: info]
    #[arg(long, env = "UNISON_LOG_LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,
}

layered!(EdgeSettings {
    hub,
    namespace,
    data_dir,
    http,
    http_allow_origin,
    resp,
    zeromq,
    ports_file,
    config,
    memtable_size,
    connections_max,
    watchers_max,
    backup_dir,
    keys_file,
    log_format,
    log_level,
});

/// Everything an edge needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeConfig {
    /// The hub to follow.
    pub hub: Address,
    /// The namespaces to follow.
    pub namespace: NamespaceList,
    /// Directory of the data.
    pub data_dir: PathBuf,
    /// HTTP listener.
    pub http: Listen,
    /// Whose web pages may use HTTP.
    pub http_allow_origin: Origins,
    /// RESP listener.
    pub resp: Listen,
    /// Listener for ZeroMQ subscribers.
    pub zeromq: Listen,
    /// File for the addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports_file: Option<PathBuf>,
    /// Memory of a namespace's memtable.
    pub memtable_size: ByteSize,
    /// Connections each server accepts at a time.
    pub connections_max: u32,
    /// Watchers of all protocols at a time.
    pub watchers_max: u32,
    /// Directory under which backups may be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_dir: Option<PathBuf>,
    /// File with the master keys of namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_file: Option<PathBuf>,
    /// Shape of the log on stderr.
    pub log_format: LogFormat,
    /// What the log holds.
    pub log_level: LogLevel,
}

impl EdgeConfig {
    /// Flags and environment over the file they name over the defaults.
    ///
    /// # Errors
    /// The file cannot be used, a value lies outside its bounds, or no hub is named.
    pub fn resolve(settings: EdgeSettings) -> Result<Self, ConfigError> {
        let given = settings.with_file()?;
        let hub = ConfigError::Missing { name: "hub", purpose: "an edge has to follow a hub" };
        let memtable = given.memtable_size.unwrap_or(ByteSize(4 << 20));
        let listen = |listen: Option<Listen>, port| {
            listen.unwrap_or_else(|| Listen::At(Address::loopback(port)))
        };
        Ok(Self {
            hub: given.hub.ok_or(hub)?,
            namespace: given.namespace.unwrap_or_else(NamespaceList::only_default),
            data_dir: super::data_directory(given.data_dir)?,
            http: listen(given.http, 4100),
            http_allow_origin: given.http_allow_origin.unwrap_or_default(),
            resp: listen(given.resp, 4102),
            zeromq: super::optional_server("zeromq", cfg!(feature = "zeromq"), given.zeromq)?,
            ports_file: given.ports_file,
            memtable_size: super::within("memtable-size", memtable, MEMTABLE_BYTES)?,
            connections_max: super::connections(given.connections_max)?,
            watchers_max: given.watchers_max.unwrap_or(crate::watch::WATCHERS_DEFAULT),
            backup_dir: given.backup_dir,
            keys_file: given.keys_file,
            log_format: given.log_format.unwrap_or_default(),
            log_level: given.log_level.unwrap_or_default(),
        })
    }

    /// What an edge started with nothing but this file would use: `check-config`.
    ///
    /// # Errors
    /// As [`EdgeConfig::resolve`].
    pub fn check(file: PathBuf) -> Result<Self, ConfigError> {
        Self::resolve(EdgeSettings { config: Some(file), ..EdgeSettings::default() })
    }
}
