use std::path::PathBuf;
use std::time::Duration;

use clap::Args as _;

use super::{
    Address, AddressError, ByteSize, ConfigError, DurabilityLevel, EdgeConfig, EdgeSettings,
    HubConfig, HubSettings, Listen, LogFormat, LogLevel, NamespaceList, Origins, Ports, Settings,
    Span, UnitError, as_file,
};

fn from_flags<S: Settings>(flags: &[&str]) -> S {
    let command = S::augment_args(clap::Command::new("node").no_binary_name(true));
    S::from_arg_matches(&command.try_get_matches_from(flags).unwrap()).unwrap()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

const EVERY_HUB_KEY: &str = r#"
data_dir = "/d"
http = "0.0.0.0:1"
http_allow_origin = "https://a.example,null"
resp = "off"
link = "[::1]:2"
ports_file = "/p"
durability = "interval"
sync_interval = "250ms"
segment_size = "1MiB"
memtable_size = 2097152
transactions_size = "32MiB"
connections_max = 7
backup_dir = "/b"
keys_file = "/k"
log_format = "json"
log_level = "debug"
"#;

fn every_hub_key() -> HubConfig {
    HubConfig {
        data_dir: "/d".into(),
        http: "0.0.0.0:1".parse().unwrap(),
        http_allow_origin: Origins::These(vec!["https://a.example".into(), "null".into()]),
        resp: Listen::Off,
        link: Listen::At(Address { host: "::1".into(), port: 2 }),
        ports_file: Some("/p".into()),
        durability: DurabilityLevel::Interval,
        sync_interval: Span(Duration::from_millis(250)),
        segment_size: ByteSize(1 << 20),
        memtable_size: ByteSize(2 << 20),
        transactions_size: ByteSize(32 << 20),
        keep_bytes: None,
        keep_time: None,
        connections_max: 7,
        watchers_max: 4_096,
        zeromq: Listen::Off,
        backup_dir: Some("/b".into()),
        keys_file: Some("/k".into()),
        log_format: LogFormat::Json,
        log_level: LogLevel::Debug,
    }
}

#[test]
fn every_key_of_a_hub_from_a_file_and_as_a_flag() {
    let (_directory, path) = file(EVERY_HUB_KEY);
    assert_eq!(HubConfig::check(path).unwrap(), every_hub_key());
    let flags: Vec<String> = EVERY_HUB_KEY
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, value)| format!("--{}={}", key.replace('_', "-"), value.trim_matches('"')))
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_eq!(HubConfig::resolve(from_flags(&flags)).unwrap(), every_hub_key());
}

#[test]
fn a_log_lets_records_go_only_where_nobody_follows() {
    let resolve = |flags: &[&str]| HubConfig::resolve(from_flags(flags));
    for keep in ["--keep-bytes=1GiB", "--keep-time=7d"] {
        let refused = resolve(&[keep]).unwrap_err();
        assert!(matches!(refused, ConfigError::KeepsForFollowers), "{refused}");
        let config = resolve(&[keep, "--link=off"]).unwrap();
        let (_directory, path) = file(&as_file(&config).unwrap());
        assert_eq!(HubConfig::check(path).unwrap(), config);
    }
}

#[test]
fn what_is_printed_can_be_read_again() {
    let printed = as_file(&every_hub_key()).unwrap();
    let (_directory, path) = file(&printed);
    assert_eq!(HubConfig::check(path).unwrap(), every_hub_key());
    let (_directory, path) = file("hub = \"h:1\"\nnamespace = \"a,b\"");
    let edge = EdgeConfig::check(path).unwrap();
    let (_directory, path) = file(&as_file(&edge).unwrap());
    assert_eq!(EdgeConfig::check(path).unwrap(), edge);
}

#[test]
fn every_flag_has_the_environment_variable_and_the_key_of_its_name() {
    for command in [
        HubSettings::augment_args(clap::Command::new("")),
        EdgeSettings::augment_args(clap::Command::new("")),
    ] {
        for argument in command.get_arguments() {
            let flag = argument.get_long().unwrap();
            let variable = format!("UNISON_{}", flag.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env(), Some(variable.as_ref()), "{flag}");
            assert_eq!(argument.get_id().as_str(), flag.replace('-', "_"));
        }
    }
}

#[test]
fn a_flag_beats_the_file_beats_the_default() {
    let (_directory, path) = file("data_dir = \"file\"\nconnections_max = 5");
    let path = path.display().to_string();
    let resolve = |flags: &[&str]| {
        let flags: Vec<&str> = flags.iter().copied().chain(["--config", &path]).collect();
        HubConfig::resolve(from_flags(&flags)).unwrap()
    };
    let config = resolve(&["--data-dir", "flag"]);
    assert_eq!((config.data_dir, config.connections_max), ("flag".into(), 5));
    let config = resolve(&[]);
    assert_eq!((config.data_dir, config.segment_size), ("file".into(), ByteSize(16 << 20)));
}

/// Runs itself again with the environment set: a test must not change its own.
#[test]
fn the_environment_beats_the_file_and_loses_to_a_flag() {
    let name = "config::tests::the_environment_beats_the_file_and_loses_to_a_flag";
    if std::env::var_os("UNISON_SEGMENT_SIZE").is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", name]).env("UNISON_SEGMENT_SIZE", "2MiB");
        let output = again.env("UNISON_DATA_DIR", "env").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let (_directory, path) = file("data_dir = \"file\"\nsegment_size = \"1MiB\"");
    let flags = ["--data-dir", "flag", "--config", &path.display().to_string()];
    let config = HubConfig::resolve(from_flags(&flags)).unwrap();
    assert_eq!((config.data_dir, config.segment_size), ("flag".into(), ByteSize(2 << 20)));
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let unknown = |text: &str| {
        let (_directory, path) = file(text);
        match HubConfig::check(path) {
            Err(ConfigError::UnknownKey { line, key, nearest, .. }) => (line, key, nearest),
            other => panic!("{other:?}"),
        }
    };
    let found = |line, key: &str, nearest: &str| (line, key.to_owned(), nearest.to_owned());
    assert_eq!(unknown("# c\n\nsegment_sice = 1"), found(3, "segment_sice", "segment_size"));
    assert_eq!(unknown("data-dir = \"x\""), found(1, "data-dir", "data_dir"));
    assert_eq!(unknown("http = \"off\"\n[resps]\nx = 1"), found(2, "resps", "resp"));
    assert_eq!(unknown("config = \"x\"").1, "config");
    let (_directory, path) = file("sigment_size = 1");
    let message = HubConfig::check(path.clone()).unwrap_err().to_string();
    let expected = "line 1: there is no key `sigment_size`; the nearest is `segment_size`";
    assert_eq!(message, format!("{}, {expected}", path.display()));
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    for (text, line, part) in [
        ("\nhttp = \"localhost\"", 2, "write host:port"),
        ("http = \"h:70000\"", 1, "0 to 65535"),
        ("a = 1\nb", 2, ""),
        ("\n\nsegment_size = \"16MeB\"", 3, "KiB, MiB"),
        ("segment_size = -1", 1, "not negative"),
        ("sync_interval = \"1 year\"", 1, "ms, s, m, h or d"),
        ("durability = \"sometimes\"", 1, "`always`, `interval`, `never`"),
        ("data_dir = 1", 1, "string"),
    ] {
        let (_directory, path) = file(text);
        match HubConfig::check(path) {
            Err(ConfigError::Value { line: at, message, .. }) => {
                assert!(at == line && message.contains(part), "{text}: {at} {message}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let missing = HubConfig::check("/nowhere/at.toml".into());
    assert!(matches!(missing, Err(ConfigError::Read { .. })));
}

#[test]
fn values_outside_their_bounds_name_them() {
    let resolve = |flags: &[&str]| HubConfig::resolve(from_flags(flags)).unwrap_err().to_string();
    assert_eq!(
        resolve(&["--segment-size", "1KiB"]),
        "--segment-size is 1KiB, but has to lie between 64KiB and 4GiB"
    );
    let refused = resolve(&["--transactions-size", "1000"]);
    assert!(refused.contains("--transactions-size is 1000B"));
    assert!(resolve(&["--memtable-size", "1000"]).contains("--memtable-size is 1000B"));
}

#[test]
fn an_edge_needs_a_hub_and_may_follow_several_namespaces() {
    let missing = EdgeConfig::resolve(EdgeSettings::default()).unwrap_err();
    assert_eq!(missing.to_string(), "--hub is needed: an edge has to follow a hub");
    let edge = EdgeConfig::resolve(from_flags(&["--hub", "hub:4003", "--namespace", "b, a,b"]));
    let edge = edge.unwrap();
    assert_eq!(edge.hub, Address { host: "hub".into(), port: 4003 });
    assert_eq!(edge.namespace, "b,a".parse().unwrap());
    assert_eq!(edge.http, "127.0.0.1:4100".parse().unwrap());
    assert_eq!(edge.memtable_size, ByteSize(4 << 20));
    let (_directory, path) = file("hub = \"h:1\"\nnamespace = [\"x\", \"y\"]");
    assert_eq!(EdgeConfig::check(path).unwrap().namespace, "x,y".parse().unwrap());
    let (_directory, path) = file("hub = \"h:1\"\nnamespace = [\"X\"]");
    assert!(matches!(EdgeConfig::check(path), Err(ConfigError::Value { line: 2, .. })));
    let lone = EdgeConfig::resolve(from_flags(&["--hub", "h:1"])).unwrap().namespace;
    assert_eq!(lone, "default".parse::<NamespaceList>().unwrap());
}

#[test]
fn sizes_and_times_as_text() {
    for (text, bytes) in [
        ("0", 0),
        ("7", 7),
        ("16MiB", 16 << 20),
        ("2 kib", 2048),
        ("1MB", 1_000_000),
        ("3TiB", 3 << 40),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
    }
    for bytes in [0, 1, 1023, 1024, 1536, 16 << 20, u64::MAX] {
        assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
    }
    for (text, ms) in
        [("250ms", 250), ("1s", 1_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)]
    {
        assert_eq!(text.parse(), Ok(Span(Duration::from_millis(ms))), "{text}");
        assert_eq!(Span(Duration::from_millis(ms)).to_string(), text);
    }
    let size = |text: &str| text.parse::<ByteSize>().unwrap_err();
    assert_eq!(size("MiB"), UnitError::Number("MiB".into()));
    assert_eq!(size("-1"), UnitError::Number("-1".into()));
    assert_eq!(size("1.5MiB"), UnitError::Size(".5MiB".into()));
    assert_eq!(size("16777216TiB"), UnitError::Overflow("16777216TiB".into()));
    assert_eq!("5".parse::<Span>(), Err(UnitError::Time(String::new())));
}

#[test]
fn addresses_as_text() {
    for text in ["localhost:0", "127.0.0.1:4000", "[::1]:65535", "hub.example.org:1"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    for text in ["", "4000", "host", ":4000", "::1:4000", "[]:1", "a b:1", "http://h:1"] {
        assert_eq!(text.parse::<Address>(), Err(AddressError::Shape(text.into())), "{text}");
    }
    assert_eq!("h:65536".parse::<Address>(), Err(AddressError::Port("65536".into())));
    assert_eq!("off".parse(), Ok(Listen::Off));
}

#[test]
fn origins_as_text() {
    for text in ["off", "*", "null", "http://localhost:8080,https://a.example"] {
        assert_eq!(text.parse::<Origins>().unwrap().to_string(), text);
    }
    let none = [
        "",
        "a.example",
        "https://a.example/",
        "https://*.example",
        "*,null",
        "http://a b",
        "://a",
    ];
    for text in none {
        assert!(text.parse::<Origins>().is_err(), "{text}");
    }
    let origins: Origins = "https://a.example, null".parse().unwrap();
    assert!(origins.allow(b"https://A.example") && origins.allow(b"null"));
    assert!(!origins.allow(b"https://a.example:1") && !origins.allow(b"https://b.example"));
    assert!(Origins::Any.allow(b"null") && !Origins::Off.allow(b"null"));
}

#[test]
fn the_ports_file_appears_whole_and_replaces_an_older_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ports.json");
    std::fs::write(&path, "old").unwrap();
    let ports = Ports { http: Some("127.0.0.1:4000".parse().unwrap()), ..Ports::default() };
    ports.write(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"http\":\"127.0.0.1:4000\"}\n");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let error = ports.write(&directory.path().join("none/ports.json")).unwrap_err();
    assert!(error.to_string().contains("none/ports.json"));
}

#[test]
fn what_would_serve_nobody_or_nowhere_is_refused() {
    for key in ["connections_max = 0", "data_dir = \"\""] {
        let (_directory, path) = file(key);
        assert!(HubConfig::check(path).is_err(), "{key}");
        let (_directory, path) = file(&format!("hub = \"h:1\"\n{key}"));
        assert!(EdgeConfig::check(path).is_err(), "{key}");
    }
    let none = HubConfig::resolve(from_flags(&["--connections-max=0"])).unwrap_err();
    assert_eq!(none.to_string(), "--connections-max is 0, but has to be at least 1");
}
