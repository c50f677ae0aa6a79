//! A node with its servers, for as long as a test holds it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use unison_base::NamespaceName;
use unison_engine::EngineOptions;
use unison_linux::store::{Durability, Store, StoreOptions};
use unison_serve::DEFAULT_NAMESPACE;
use unison_serve::config::{Listen, Origins};
use unison_serve::health::LinkHealth;
use unison_serve::node::{Node, NodeOptions, Role};
use unison_serve::serve::{Listeners, stop};
use unison_serve::shutdown::Shutdown;

/// Longest time a test waits for bytes.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Running {
    pub(crate) node: Arc<Node>,
    pub(crate) store: Arc<Store>,
    pub(crate) health: Arc<LinkHealth>,
    pub(crate) http: SocketAddr,
    pub(crate) resp: SocketAddr,
    #[cfg(feature = "zeromq")]
    pub(crate) zeromq: SocketAddr,
    runtime: tokio::runtime::Runtime,
    pub(crate) directory: tempfile::TempDir,
}

pub(crate) struct Setting {
    pub(crate) durability: Durability,
    pub(crate) role: Role,
    pub(crate) backup_dir: Option<PathBuf>,
    pub(crate) connections_max: u32,
    pub(crate) allow_origin: Origins,
    pub(crate) watchers_max: u32,
    pub(crate) engine: EngineOptions,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            durability: Durability::Never,
            role: Role::Hub,
            backup_dir: None,
            connections_max: 64,
            allow_origin: Origins::Off,
            watchers_max: 8,
            engine: EngineOptions { segment_bytes: 8 << 20, ..EngineOptions::default() },
        }
    }
}

impl Running {
    pub(crate) fn hub() -> Self {
        Self::start(Setting::default())
    }

    pub(crate) fn start(setting: Setting) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions {
            data_dir: directory.path().join("data"),
            durability: setting.durability,
            engine: setting.engine,
            tree_cache_bytes: 1 << 20,
            doubt_trees: false,
        })
        .unwrap();
        store.create(&NamespaceName::new(DEFAULT_NAMESPACE).unwrap()).unwrap();
        let health = Arc::new(LinkHealth::default());
        let node = Node::new(
            Arc::clone(&store),
            Arc::clone(&health),
            Shutdown::default(),
            NodeOptions {
                role: setting.role,
                backup_dir: setting.backup_dir,
                connections_max: setting.connections_max,
                allow_origin: setting.allow_origin,
                watchers_max: setting.watchers_max,
            },
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let any: Listen = "127.0.0.1:0".parse().unwrap();
        let zeromq = if cfg!(feature = "zeromq") { any.clone() } else { Listen::Off };
        let listeners = runtime.block_on(Listeners::open(&any, &any, &zeromq)).unwrap();
        let ports = listeners.ports();
        let entered = runtime.enter();
        listeners.serve(&node);
        drop(entered);
        let (http, resp) = (ports.http.unwrap(), ports.resp.unwrap());
        Self {
            node,
            store,
            health,
            http,
            resp,
            #[cfg(feature = "zeromq")]
            zeromq: ports.zeromq.unwrap(),
            runtime,
            directory,
        }
    }

    /// Ends the servers; how many connections had to be left behind.
    pub(crate) fn stop(&self) -> usize {
        self.runtime.block_on(stop(&self.node))
    }

    pub(crate) fn resp_client(&self) -> Client {
        Client::connect(self.resp)
    }
}

/// A socket with answers as text: what RESP and HTTP tests read from.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads exactly as much as `expected` has and compares.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut bytes = vec![0; expected.len()];
        let read = self.read_up_to(&mut bytes);
        let (got, wanted) = (bytes[..read].escape_ascii(), expected.escape_ascii());
        assert_eq!(got.to_string(), wanted.to_string());
    }

    fn read_up_to(&mut self, bytes: &mut [u8]) -> usize {
        let mut read = 0;
        while read < bytes.len() {
            match self.0.read(&mut bytes[read..]).unwrap() {
                0 => break,
                more => read += more,
            }
        }
        read
    }

    /// Whether there is something to read.
    pub(crate) fn has_answer(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).unwrap();
        peeked.is_ok()
    }

    /// Sends the words as an array and expects `reply`.
    #[track_caller]
    pub(crate) fn ask(&mut self, words: &[&str], reply: impl AsRef<[u8]>) {
        self.send(array(words));
        self.expect(reply);
    }

    /// One line without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.0.read(&mut byte).unwrap() == 1 {
            line.push(byte[0]);
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                break;
            }
        }
        String::from_utf8(line).unwrap()
    }

    /// The text of one bulk or verbatim string.
    pub(crate) fn bulk(&mut self) -> String {
        let header = self.line();
        let length: usize = header[1..].parse().unwrap();
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes).unwrap();
        bytes.truncate(length);
        String::from_utf8(bytes).unwrap()
    }

    /// Everything until the server closes; a reset counts as closing.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        bytes
    }
}

/// Words as an array of bulk strings.
pub(crate) fn array(words: &[&str]) -> Vec<u8> {
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    format!("*{}\r\n{}", words.len(), words.iter().map(bulk).collect::<String>()).into_bytes()
}
