//! What a hub is told.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use unison_base::limits::{SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

use super::{
    Address, ByteSize, ConfigError, Listen, LogFormat, LogLevel, Origins, Settings, Span, layered,
};

/// Smallest and largest memtable, bytes.
pub(super) const MEMTABLE_BYTES: (u64, u64) = (1 << 20, 64 << 30);
/// Fewest and most bytes that the open transactions of all namespaces may take.
const TRANSACTIONS_BYTES: (u64, u64) = (1 << 20, 64 << 30);
/// Connections each server accepts at a time unless told otherwise.
pub(super) const CONNECTIONS_DEFAULT: u32 = 4_096;

/// When a write counts as acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityLevel {
    /// Once it is on disk.
    #[default]
    Always,
    /// At once; it is on disk within `sync_interval`.
    Interval,
    /// At once; the system decides when it reaches the disk.
    Never,
}

/// One layer of a hub's settings, as flags and environment or as a file give them.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default)]
pub struct HubSettings {
    /// Directory of the data [default: ./unison-data]
    #[arg(long, env = "UNISON_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where HTTP listens, or `off` [default: 127.0.0.1:4000]
    #[arg(long, env = "UNISON_HTTP", value_name = "ADDR")]
    pub http: Option<Listen>,
    /// Whose web pages may use HTTP: origins with commas, `*`, or `off` [default: off]
    #[arg(long, env = "UNISON_HTTP_ALLOW_ORIGIN", value_name = "ORIGIN")]
    pub http_allow_origin: Option<Origins>,
    /// Where RESP (the protocol of Redis) listens, or `off` [default: 127.0.0.1:4002]
    #[arg(long, env = "UNISON_RESP", value_name = "ADDR")]
    pub resp: Option<Listen>,
    /// Where followers connect, or `off` [default: 127.0.0.1:4003]
    #[arg(long, env = "UNISON_LINK", value_name = "ADDR")]
    pub link: Option<Listen>,
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
    /// When a write is acknowledged [default: always]
    #[arg(long, env = "UNISON_DURABILITY", value_enum)]
    pub durability: Option<DurabilityLevel>,
    /// Longest time a write may wait for the disk with `--durability interval` [default: 1s]
    #[arg(long, env = "UNISON_SYNC_INTERVAL", value_name = "TIME")]
    pub sync_interval: Option<Span>,
    /// Size of a log segment [default: 16MiB]
    #[arg(long, env = "UNISON_SEGMENT_SIZE", value_name = "SIZE")]
    pub segment_size: Option<ByteSize>,
    /// Memory for writes that are not in the tree yet, per namespace [default: 64MiB]
    #[arg(long, env = "UNISON_MEMTABLE_SIZE", value_name = "SIZE")]
    pub memtable_size: Option<ByteSize>,
    /// Memory for open transactions, of all namespaces together [default: 128MiB]
    #[arg(long, env = "UNISON_TRANSACTIONS_SIZE", value_name = "SIZE")]
    pub transactions_size: Option<ByteSize>,
    /// Newest part of a log that is kept though the tree holds it; only with `--link off`
    #[arg(long, env = "UNISON_KEEP_BYTES", value_name = "SIZE")]
    pub keep_bytes: Option<ByteSize>,
    /// How long a full segment stays in the log though the tree holds it; only with `--link off`
    #[arg(long, env = "UNISON_KEEP_TIME", value_name = "TIME")]
    pub keep_time: Option<Span>,
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

layered!(HubSettings {
    data_dir,
    http,
    http_allow_origin,
    resp,
    link,
    zeromq,
    ports_file,
    config,
    durability,
    sync_interval,
    segment_size,
    memtable_size,
    transactions_size,
    keep_bytes,
    keep_time,
    connections_max,
    watchers_max,
    backup_dir,
    keys_file,
    log_format,
    log_level,
});

/// Everything a hub needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HubConfig {
    /// Directory of the data.
    pub data_dir: PathBuf,
    /// HTTP listener.
    pub http: Listen,
    /// Whose web pages may use HTTP.
    pub http_allow_origin: Origins,
    /// RESP listener.
    pub resp: Listen,
    /// Listener for followers.
    pub link: Listen,
    /// Listener for ZeroMQ subscribers.
    pub zeromq: Listen,
    /// File for the addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports_file: Option<PathBuf>,
    /// When a write is acknowledged.
    pub durability: DurabilityLevel,
    /// Bound of the wait for the disk with `Interval`.
    pub sync_interval: Span,
    /// Size of a log segment.
    pub segment_size: ByteSize,
    /// Memory of a namespace's memtable.
    pub memtable_size: ByteSize,
    /// Memory of the open transactions of all namespaces.
    pub transactions_size: ByteSize,
    /// Newest part of a log that is kept though the tree holds it; all of it unless this or
    /// `keep_time` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_bytes: Option<ByteSize>,
    /// How long a full segment stays in the log though the tree holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_time: Option<Span>,
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

impl HubConfig {
    /// Flags and environment over the file they name over the defaults.
    ///
    /// # Errors
    /// The file cannot be used, or a value lies outside its bounds.
    pub fn resolve(settings: HubSettings) -> Result<Self, ConfigError> {
        let given = settings.with_file()?;
        let segment = given.segment_size.unwrap_or(ByteSize(SEGMENT_BYTES_DEFAULT));
        let memtable = given.memtable_size.unwrap_or(ByteSize(64 << 20));
        let transactions = given.transactions_size.unwrap_or(ByteSize(128 << 20));
        let listen = |listen: Option<Listen>, port| {
            listen.unwrap_or_else(|| Listen::At(Address::loopback(port)))
        };
        let link = listen(given.link, 4003);
        let keeps_less = given.keep_bytes.is_some() || given.keep_time.is_some();
        if keeps_less && link != Listen::Off {
            return Err(ConfigError::KeepsForFollowers);
        }
        Ok(Self {
            data_dir: super::data_directory(given.data_dir)?,
            http: listen(given.http, 4000),
            http_allow_origin: given.http_allow_origin.unwrap_or_default(),
            resp: listen(given.resp, 4002),
            link,
            zeromq: super::optional_server("zeromq", cfg!(feature = "zeromq"), given.zeromq)?,
            ports_file: given.ports_file,
            durability: given.durability.unwrap_or_default(),
            sync_interval: given.sync_interval.unwrap_or(Span(Duration::from_secs(1))),
            segment_size: super::within(
                "segment-size",
                segment,
                (SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            )?,
            memtable_size: super::within("memtable-size", memtable, MEMTABLE_BYTES)?,
            transactions_size: super::within(
                "transactions-size",
                transactions,
                TRANSACTIONS_BYTES,
            )?,
            keep_bytes: given.keep_bytes,
            keep_time: given.keep_time,
            connections_max: super::connections(given.connections_max)?,
            watchers_max: given.watchers_max.unwrap_or(crate::watch::WATCHERS_DEFAULT),
            backup_dir: given.backup_dir,
            keys_file: given.keys_file,
            log_format: given.log_format.unwrap_or_default(),
            log_level: given.log_level.unwrap_or_default(),
        })
    }

    /// What a hub started with nothing but this file would use: `check-config`.
    ///
    /// # Errors
    /// As [`HubConfig::resolve`].
    pub fn check(file: PathBuf) -> Result<Self, ConfigError> {
        Self::resolve(HubSettings { config: Some(file), ..HubSettings::default() })
    }
}
