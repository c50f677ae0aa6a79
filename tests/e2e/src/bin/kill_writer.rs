//! A process made to be killed: opens a store, proves what it finds, then writes numbered values
//! from several threads and says of each when it is acknowledged.
//!
//! Output, one line each: `found THREAD COUNT`, then `ready`, then `acked THREAD NUMBER`.
//! Each thread writes `t/<thread>/<number>` in order, so what is found must be numbers 1 to COUNT
//! without a hole, each with its own value.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use unison_base::NamespaceName;
use unison_engine::{EngineOptions, ScanRequest, Write};
use unison_linux::store::{Durability, Namespace, Store, StoreOptions};

const THREADS: u64 = 4;
/// Small, so that rotations, flushes and checkpoints fall between the kills too.
const SEGMENT_BYTES: u64 = 128 << 10;
const MEMTABLE_BYTES: usize = 64 << 10;
const VALUE_BYTES_MAX: u64 = 3_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data_dir = PathBuf::from(std::env::args().nth(1).ok_or("usage: kill-writer DIR")?);
    let engine = EngineOptions {
        segment_bytes: SEGMENT_BYTES,
        memtable_bytes: MEMTABLE_BYTES,
        ..EngineOptions::default()
    };
    let store = Store::open(StoreOptions {
        data_dir,
        durability: Durability::Always,
        engine,
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    })?;
    let namespace = store.create(&NamespaceName::new("default")?)?;
    let found =
        (0..THREADS).map(|thread| prove(&namespace, thread)).collect::<Result<Vec<_>, _>>()?;
    say("ready");
    std::thread::scope(|scope| {
        for (thread, count) in (0..).zip(found) {
            let namespace = Arc::clone(&namespace);
            scope.spawn(move || write_for_ever(&namespace, thread, count));
        }
    });
    Ok(())
}

fn key(thread: u64, number: u64) -> Vec<u8> {
    format!("t/{thread}/{number:012}").into_bytes()
}

fn value(thread: u64, number: u64) -> Vec<u8> {
    let length = number.wrapping_mul(2_654_435_761) % VALUE_BYTES_MAX;
    let mut value = format!("{thread}:{number}:").into_bytes();
    value.resize(value.len() + length as usize, number as u8);
    value
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The reader is gone when the parent is: then there is nobody left to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn prove(namespace: &Namespace, thread: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let prefix = format!("t/{thread}/").into_bytes();
    let mut count = 0;
    let request = ScanRequest { prefix: &prefix, ..ScanRequest::default() };
    for item in namespace.reader().snapshot().scan(request)? {
        let item = item?;
        count += 1;
        if item.key != key(thread, count) {
            return Err(format!("hole: thread {thread} lacks number {count}").into());
        }
        if item.value.bytes()?[..] != value(thread, count)[..] {
            return Err(format!("wrong value: thread {thread} number {count}").into());
        }
    }
    say(&format!("found {thread} {count}"));
    Ok(count)
}

fn write_for_ever(namespace: &Namespace, thread: u64, mut number: u64) {
    loop {
        number += 1;
        let (key, value) = (key(thread, number), value(thread, number));
        if let Err(error) = namespace.write(&Write::put(&key, &value)) {
            say(&format!("failed {thread} {number} {error}"));
            return;
        }
        say(&format!("acked {thread} {number}"));
    }
}
