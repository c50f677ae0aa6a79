//! Mistakes of another system, each as a test: what must not happen to topics.

use super::{filter, message, payloads, publish, read, shown, write};
use crate::fixture::{self, NOW_MS, commit, flush, new, options};
use redb::StorageBackend;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use unison_base::prng::Prng;
use unison_engine::{
    EngineOptions, MessageId, MessageRequest, NewMessage, Operation, Write, WriteError,
};
use unison_sim::disk::Cut;

#[test]
fn after_a_restart_a_long_topic_is_whole_newest_first() {
    let (disk, mut engine) = new(options());
    for number in 0..3_000_u32 {
        let payload = number.to_be_bytes();
        let messages = [message("long", &payload)];
        engine.stage(&Write::new(Operation::Publish(&messages)), NOW_MS).unwrap();
        if number % 100 == 99 {
            commit(&mut engine);
            flush(&mut engine);
        }
    }
    drop(engine);
    let engine = fixture::open(&disk, options());
    let filter = filter("long");
    let request = MessageRequest { newest_first: true, ..MessageRequest::all(&filter) };
    let found = read(&engine.reader().snapshot(), request);
    let numbers =
        found.iter().map(|shown| u32::from_be_bytes(shown.payload[..].try_into().unwrap()));
    assert!(numbers.eq((0..3_000).rev()));
}

#[test]
fn the_first_topic_ever_is_like_any_other() {
    let (disk, mut engine) = new(options());
    let first = publish(&mut engine, "first", b"1");
    publish(&mut engine, "second", b"2");
    publish(&mut engine, "first", b"3");
    assert_eq!(payloads(&engine.reader(), "first"), [b"1", b"3"]);
    write(&mut engine, Operation::DeleteMessage(first)).unwrap();
    super::everywhere((disk, engine), |reader| {
        assert_eq!(payloads(reader, "first"), [b"3"]);
        assert_eq!(payloads(reader, "second"), [b"2"]);
    });
}

#[test]
fn a_cut_before_the_first_flush_loses_nothing_acknowledged_and_ids_go_on_above() {
    for cut in Cut::ALL {
        let (disk, mut engine) = new(options());
        let acknowledged: Vec<MessageId> =
            ["a", "b", "a"].map(|topic| publish(&mut engine, topic, topic.as_bytes())).into();
        // This one is not.
        let staged = [message("c", b"c")];
        engine.stage(&Write::new(Operation::Publish(&staged)), NOW_MS).unwrap();
        engine.append(NOW_MS).unwrap();
        let disk = disk.crash(cut, &mut Prng::new(7));
        drop(engine);
        let mut engine = fixture::open(&disk, options());
        assert_eq!(payloads(&engine.reader(), "a"), [b"a", b"a"]);
        assert_eq!(payloads(&engine.reader(), "b"), [b"b"]);
        let next = publish(&mut engine, "new", b"4");
        assert!(acknowledged.iter().all(|id| *id < next), "{next:?}");
        assert_eq!(payloads(&engine.reader(), "new"), [b"4"]);
        assert_eq!(payloads(&engine.reader(), "a"), [b"a", b"a"]);
    }
}

#[test]
fn names_of_the_same_levels_never_meet() {
    let (disk, mut engine) = new(options());
    let names =
        ["a/b", "b/a", "x/x", "y/y", "ab", "a//b", "a/", "/a", "a", "A", "\u{e4}", "a\u{308}"];
    for name in names {
        publish(&mut engine, name, name.as_bytes());
    }
    super::everywhere((disk, engine), |reader| {
        for name in names {
            assert_eq!(payloads(reader, name), [name.as_bytes()]);
        }
    });
}

#[test]
fn the_newest_so_many_are_exact_with_expired_ones_between_in_memory_and_tree() {
    let (disk, mut engine) = new(options());
    for number in 0..60_u8 {
        let ttl_ms = (number % 3 == 0).then_some(5);
        let payload = [number];
        let messages = [NewMessage { ttl_ms, ..message("t", &payload) }];
        engine.stage(&Write::new(Operation::Publish(&messages)), NOW_MS).unwrap();
        commit(&mut engine);
        if number == 40 {
            flush(&mut engine);
        }
    }
    let expected: Vec<Vec<u8>> = (0..60)
        .rev()
        .filter(|number| number % 3 != 0)
        .take(25)
        .map(|number| vec![number])
        .collect();
    super::everywhere((disk, engine), |reader| {
        let filter = filter("t");
        let request = MessageRequest { newest_first: true, ..MessageRequest::all(&filter) };
        let snapshot = reader.at(NOW_MS + 5).snapshot();
        let newest = snapshot.messages(request).unwrap().take(25);
        let newest: Vec<_> = newest.map(|message| shown(&message.unwrap()).payload).collect();
        assert_eq!(newest, expected);
    });
}

#[test]
fn sixteen_readers_never_see_another_topics_payload() {
    const READERS: usize = 16;
    let (_disk, mut engine) = new(EngineOptions { memtable_bytes: 2 << 10, ..options() });
    let names: Vec<String> = (0..READERS).map(|number| format!("reader/{number}")).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for name in &names {
            let (reader, stop) = (engine.reader(), &stop);
            scope.spawn(move || {
                let (filter, mut seen) = (filter(name), 0);
                while !stop.load(Ordering::Relaxed) || seen == 0 {
                    let found = read(&reader.snapshot(), MessageRequest::all(&filter));
                    assert!(found.len() >= seen, "messages are gone");
                    assert!(found.iter().all(|shown| shown.payload == name.as_bytes()));
                    seen = found.len();
                }
            });
        }
        for round in 0..60 {
            let messages: Vec<_> =
                names.iter().map(|name| message(name, name.as_bytes())).collect();
            write(&mut engine, Operation::Publish(&messages)).unwrap();
            if round % 5 == 0 {
                flush(&mut engine);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn some_topics_and_patterns_are_read_alone() {
    let (_disk, mut engine) = new(options());
    for (topic, payload) in [("a/b", b"1"), ("a/c", b"2"), ("a/d", b"3"), ("a/b", b"4")] {
        publish(&mut engine, topic, payload);
    }
    let pattern = [message("a/+", b"5")];
    write(&mut engine, Operation::PublishPattern(&pattern)).unwrap();
    flush(&mut engine);
    publish(&mut engine, "a/c", b"6");
    let (snapshot, any) = (engine.reader().snapshot(), filter("#"));
    let read = |streams: &[(&str, bool)]| -> Vec<u8> {
        let messages = snapshot.messages_of(streams.iter().copied(), MessageRequest::all(&any));
        messages.unwrap().flat_map(|message| message.unwrap().payload().to_vec()).collect()
    };
    assert_eq!(read(&[("a/c", false), ("a/b", false), ("none", false)]), b"1246");
    assert_eq!(read(&[("a/+", true), ("a/d", false)]), b"35");
    assert_eq!(read(&[("a/+", false), ("a/d", true)]), b"");
}

#[test]
fn an_empty_payload_and_one_of_a_byte_come_back() {
    let (disk, mut engine) = new(options());
    publish(&mut engine, "t", b"");
    publish(&mut engine, "t", b"\0");
    super::everywhere((disk, engine), |reader| {
        assert_eq!(payloads(reader, "t"), [&b""[..], b"\0"]);
    });
}

#[test]
fn an_error_inside_a_batch_takes_all_of_it_back() {
    let (_disk, mut engine) = new(options());
    publish(&mut engine, "before", b"1");
    let next = engine.next_lsn();
    let batch = [message("new", b"2"), message("before", b"3"), message("bad/#", b"4")];
    let error = write(&mut engine, Operation::Publish(&batch)).unwrap_err();
    assert!(matches!(error, WriteError::Topic(_)));
    assert_eq!(engine.next_lsn(), next);
    assert_eq!(payloads(&engine.reader(), "#"), [b"1"]);
    assert_eq!(super::topics(&engine.reader(), "#"), ["before"]);
}

/// What a topic costs on the disk, and what so many cost at a start.
#[test]
fn a_hundred_thousand_topics_with_a_message_each_are_small() {
    let names: Vec<String> = (0..100_000).map(|number| format!("t/{number:06}")).collect();
    // The log's segments go when nothing in them is live: here nothing has gone.
    let bytes = bytes_a_topic(&names);
    assert!(bytes.stored < 115 && bytes.pages < 120 && bytes.log < 140);
}

/// Where new names come between old ones, pages of names are not full.
#[test]
fn topics_in_no_order_are_small_too() {
    let mut names: Vec<String> = (0..30_000).map(|number| format!("t/{number:06}")).collect();
    let mut prng = Prng::new(3);
    for at in (1..names.len()).rev() {
        names.swap(at, usize::try_from(prng.below(at as u64 + 1)).unwrap());
    }
    assert!(bytes_a_topic(&names).pages < 130);
}

/// Bytes a topic.
#[derive(Debug)]
struct Bytes {
    /// In entries of the tree, and of its pages.
    stored: usize,
    /// In pages of the tree.
    pages: usize,
    /// In the log.
    log: usize,
}

fn bytes_a_topic(names: &[String]) -> Bytes {
    let options = EngineOptions {
        memtable_bytes: 4 << 20,
        segment_bytes: 16 << 20,
        ..EngineOptions::default()
    };
    let (disk, mut engine) = new(options);
    for names in names.chunks(1_000) {
        let messages: Vec<_> = names.iter().map(|name| message(name, b"21.5")).collect();
        write(&mut engine, Operation::Publish(&messages)).unwrap();
        if let Some(job) = engine.flush_job() {
            engine.flushed(job.run()).unwrap();
        }
    }
    flush(&mut engine);
    assert!(engine.stats().flushes > 1);
    let segments = engine.tail().segment.0 as usize;
    let log_bytes = (segments - 1) * (16 << 20) + engine.tail().offset as usize;
    drop(engine);
    let began = Instant::now();
    let engine = fixture::open(&disk, options);
    let opening = began.elapsed();
    let file_bytes = disk.tree("ns").len().unwrap();
    let found = engine.reader().snapshot().topics(&filter("t/#"), None).unwrap();
    assert_eq!(found.count(), names.len());
    assert_eq!(payloads(&engine.reader(), &names[names.len() / 2]), [b"21.5"]);
    drop(engine);
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    let stats = tree.begin_write().unwrap().stats().unwrap();
    let each = |bytes: u64| usize::try_from(bytes).unwrap() / names.len();
    let bytes = Bytes {
        stored: each(stats.stored_bytes() + stats.metadata_bytes()),
        pages: each(stats.allocated_pages() * 4_096),
        log: log_bytes / names.len(),
    };
    println!("{bytes:?}, {} B of the tree's file, opened in {opening:?}", each(file_bytes));
    bytes
}
