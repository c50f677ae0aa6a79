//! Single writes and what is read behind them.

use super::{
    everywhere, filter, message, payloads, publish, publish_pattern, read, retained, topics, trim,
    write,
};
use crate::fixture::{self, NOW_MS, Sim, commit, flush, follower_options, new, options};
use flatbuffers::FlatBufferBuilder;
use unison_base::frame::{frame_bytes, write_frame};
use unison_base::limits::PATTERNS_MAX;
use unison_base::{Lsn, SegmentId};
use unison_engine::{
    EngineOptions, MessageId, MessageRequest, NewMessage, Operation, TopicError, TrimBefore, Write,
    WriteError,
};
use unison_ports::IoError;
use unison_schemas::{
    EncodedEntry, EncodedEntryArgs, EntryType, LogRecord, LogRecordArgs, OperationType,
    StreamDefineEntry, StreamDefineEntryArgs,
};
use unison_sim::disk::{Calls, Fault};
use unison_walfs::RunHeader;

#[test]
fn what_is_published_is_shown_in_order_by_every_filter_that_finds_it() {
    let (disk, mut engine) = new(options());
    publish(&mut engine, "a/b", b"1");
    publish(&mut engine, "a/c", b"2");
    publish(&mut engine, "a", b"3");
    publish(&mut engine, "a/b", b"4");
    publish(&mut engine, "$SYS/up", b"5");
    everywhere((disk, engine), |reader| {
        for (text, expected) in [
            ("a/b", &[&b"1"[..], b"4"][..]),
            ("a/+", &[b"1", b"2", b"4"]),
            ("a/#", &[b"1", b"2", b"3", b"4"]),
            ("#", &[b"1", b"2", b"3", b"4"]),
            ("+", &[b"3"]),
            ("$SYS/#", &[b"5"]),
            ("b/a", &[]),
        ] {
            assert_eq!(payloads(reader, text), expected, "{text}");
        }
        assert_eq!(topics(reader, "#"), ["a", "a/b", "a/c"]);
        assert_eq!(topics(reader, "+/c"), ["a/c"]);
        assert_eq!(topics(reader, "$SYS/+"), ["$SYS/up"]);
    });
}

#[test]
fn what_is_published_to_a_pattern_is_shown_by_topics_that_it_finds_later_ones_included() {
    let (disk, mut engine) = new(options());
    publish(&mut engine, "a/b", b"1");
    let id = publish_pattern(&mut engine, "a/+", b"all");
    publish(&mut engine, "a/b", b"2");
    publish(&mut engine, "a/later", b"3");
    publish(&mut engine, "b/b", b"4");
    everywhere((disk, engine), |reader| {
        assert_eq!(payloads(reader, "a/b"), [&b"1"[..], b"all", b"2"]);
        assert_eq!(payloads(reader, "a/later"), [&b"all"[..], b"3"]);
        assert_eq!(payloads(reader, "a/unused"), [b"all"]);
        assert_eq!(payloads(reader, "b/b"), [b"4"]);
        assert_eq!(payloads(reader, "#"), [&b"1"[..], b"all", b"2", b"3", b"4"]);
        assert_eq!(topics(reader, "#"), ["a/b", "a/later", "b/b"]);
        let filter = filter("a/b");
        let shown = read(&reader.snapshot(), MessageRequest::all(&filter));
        assert_eq!((shown[1].topic.as_str(), shown[1].is_pattern, shown[1].id), ("a/+", true, id));
    });
}

#[test]
fn a_batch_has_one_lsn_and_defines_each_topic_once() {
    let (disk, mut engine) = new(options());
    let headers = [("content-type", &b"text"[..]), ("empty", b"")];
    let messages = [
        NewMessage { headers: &headers, ttl_ms: Some(90_000), ..message("x", b"1") },
        message("y", b"2"),
        message("x", b""),
    ];
    let lsn = write(&mut engine, Operation::Publish(&messages)).unwrap();
    assert_eq!(lsn, Lsn(2));
    everywhere((disk, engine), |reader| {
        let filter = filter("#");
        let shown = read(&reader.snapshot(), MessageRequest::all(&filter));
        let ids: Vec<_> = shown.iter().map(|message| (message.id.lsn, message.id.index)).collect();
        assert_eq!(ids, [(lsn, 0), (lsn, 1), (lsn, 2)]);
        assert_eq!(shown[0].expires_at, Some(NOW_MS + 90_000));
        let expected = [("content-type".into(), b"text".to_vec()), ("empty".into(), vec![])];
        assert_eq!(shown[0].headers, expected);
        assert!(shown[2].payload.is_empty() && shown[2].headers.is_empty());
        let later = reader.at(NOW_MS + 90_000).snapshot();
        assert_eq!(read(&later, MessageRequest::all(&filter)).len(), 2);
    });
}

#[test]
fn a_deleted_message_is_gone_and_cannot_be_deleted_again() {
    for flushed in [false, true] {
        let (disk, mut engine) = new(options());
        let ids = [b"1", b"2", b"3"].map(|payload| publish(&mut engine, "t", payload));
        if flushed {
            flush(&mut engine);
        }
        write(&mut engine, Operation::DeleteMessage(ids[1])).unwrap();
        let again = write(&mut engine, Operation::DeleteMessage(ids[1]));
        assert_eq!(again, Err(WriteError::NoMessage { lsn: ids[1].lsn, index: 0 }));
        for nowhere in [(0, 0), (1, 0), (2, 1), (99, 0)] {
            let id = MessageId { lsn: Lsn(nowhere.0), index: nowhere.1 };
            let error = write(&mut engine, Operation::DeleteMessage(id)).unwrap_err();
            assert!(matches!(error, WriteError::NoMessage { .. }), "{nowhere:?} {error}");
        }
        everywhere((disk, engine), |reader| {
            assert_eq!(payloads(reader, "t"), [b"1", b"3"]);
        });
    }
}

#[test]
fn a_message_that_is_staged_only_can_be_deleted() {
    let (_disk, mut engine) = new(options());
    let staged = engine.stage(&Write::new(Operation::Publish(&[message("t", b"1")])), NOW_MS);
    let id = MessageId { lsn: staged.unwrap().lsn, index: 0 };
    engine.stage(&Write::new(Operation::DeleteMessage(id)), NOW_MS).unwrap();
    commit(&mut engine);
    assert!(payloads(&engine.reader(), "t").is_empty());
}

#[test]
fn a_trim_takes_what_is_older_and_nothing_that_comes_later() {
    for flushed in [false, true] {
        let (disk, mut engine) = new(options());
        let mut at = |payload: &[u8], later_ms| {
            let messages = [message("t", payload), message("u", payload)];
            engine.stage(&Write::new(Operation::Publish(&messages)), NOW_MS + later_ms).unwrap();
            commit(&mut engine);
        };
        at(b"1", 0);
        at(b"2", 1_000);
        at(b"3", 2_000);
        if flushed {
            flush(&mut engine);
        }
        trim(&mut engine, &["t", "none"], NOW_MS + 1_000).unwrap();
        // A lower bound brings nothing back, and one in the future takes no later message.
        trim(&mut engine, &["t"], NOW_MS).unwrap();
        assert_eq!(payloads(&engine.reader(), "t"), [b"2", b"3"]);
        trim(&mut engine, &["u"], u64::MAX).unwrap();
        assert!(payloads(&engine.reader(), "u").is_empty());
        publish(&mut engine, "u", b"4");
        assert_eq!(trim(&mut engine, &["none"], NOW_MS), Err(WriteError::NoTopic));
        everywhere((disk, engine), |reader| {
            assert_eq!(payloads(reader, "t"), [b"2", b"3"]);
            assert_eq!(payloads(reader, "u"), [b"4"]);
        });
    }
}

#[test]
fn a_pattern_is_trimmed_by_its_text() {
    let (disk, mut engine) = new(options());
    publish_pattern(&mut engine, "t/#", b"old");
    let trimmed = TrimBefore { topics: &["t/#"], before_ms: u64::MAX };
    write(&mut engine, Operation::TrimPatterns(trimmed)).unwrap();
    publish_pattern(&mut engine, "t/#", b"new");
    everywhere((disk, engine), |reader| assert_eq!(payloads(reader, "t"), [b"new"]));
}

#[test]
fn the_retained_message_is_the_newest_that_asked_for_it_while_it_is_there() {
    let (disk, mut engine) = new(options());
    let keep = |topic, payload| NewMessage { retain: true, ..message(topic, payload) };
    write(&mut engine, Operation::Publish(&[keep("a", b"1"), keep("b", b"2")])).unwrap();
    write(&mut engine, Operation::Publish(&[message("a", b"3"), message("c", b"4")])).unwrap();
    write(&mut engine, Operation::Publish(&[keep("b", b"5"), keep("b", b"6")])).unwrap();
    let expiring = NewMessage { ttl_ms: Some(10), ..keep("d", b"7") };
    write(&mut engine, Operation::Publish(&[expiring])).unwrap();
    let gone = write(&mut engine, Operation::Publish(&[keep("e", b"8")])).unwrap();
    write(&mut engine, Operation::DeleteMessage(MessageId { lsn: gone, index: 0 })).unwrap();
    write(&mut engine, Operation::Publish(&[keep("f", b"9")])).unwrap();
    trim(&mut engine, &["f"], u64::MAX).unwrap();
    everywhere((disk, engine), |reader| {
        let payloads = |text, now_ms| {
            let shown = retained(reader, text, now_ms).into_iter();
            shown.map(|message| (message.topic, message.payload)).collect::<Vec<_>>()
        };
        let pair = |topic: &str, payload: &[u8]| (topic.to_owned(), payload.to_vec());
        let both = vec![pair("a", b"1"), pair("b", b"6")];
        assert_eq!(payloads("#", NOW_MS + 10), both);
        assert_eq!(payloads("#", NOW_MS), [both, vec![pair("d", b"7")]].concat());
        assert_eq!(payloads("b", NOW_MS), [pair("b", b"6")]);
    });
}

#[test]
fn what_breaks_a_limit_is_refused_before_anything_is_written() {
    let (_disk, mut engine) = new(options());
    let mut refused = |messages: &[NewMessage<'_>]| {
        let before = engine.next_lsn();
        let error = write(&mut engine, Operation::Publish(messages)).unwrap_err();
        assert_eq!(engine.next_lsn(), before);
        error
    };
    assert_eq!(refused(&[]), WriteError::EmptyBatch);
    assert_eq!(refused(&[message("a/+", b"")]), WriteError::Topic(TopicError::Wildcard));
    assert_eq!(refused(&[message("a", b""), message("b\0", b"")]), TopicError::Zero.into());
    let payload = vec![0; (4 << 20) + 1];
    assert!(matches!(refused(&[message("a", &payload)]), WriteError::ValueLength { .. }));
    // No segment of this log holds it, and its topic is not there either.
    let payload = vec![0; 64 << 10];
    assert!(matches!(refused(&[message("a", &payload)]), WriteError::RecordTooLarge { .. }));
    let headers = vec![("name", &b""[..]); 65];
    let many = NewMessage { headers: &headers, ..message("a", b"") };
    assert!(matches!(refused(&[many]), WriteError::Headers { headers: 64, .. }));
    let nameless = NewMessage { headers: &[("", b"")], ..message("a", b"") };
    assert!(matches!(refused(&[nameless]), WriteError::Headers { .. }));
    assert!(matches!(
        refused(&vec![message("a", b""); 10_001]),
        WriteError::BatchOperations { .. }
    ));
    let payload = vec![0; 3 << 20];
    let two = [message("a", &payload), message("b", &payload)];
    assert!(matches!(refused(&two), WriteError::BatchBytes { .. }));
    assert!(topics(&engine.reader(), "#").is_empty());
}

#[test]
fn pages_go_on_where_the_last_one_ended_in_both_directions() {
    let (disk, mut engine) = new(options());
    for round in 0..40_u8 {
        let topic = ["a", "b", "c/d"][usize::from(round) % 3];
        let (one, two) = ([round], [round, 1]);
        let messages = [message(topic, &one), message("a", &two)];
        engine.stage(&Write::new(Operation::Publish(&messages)), NOW_MS + 10).unwrap();
        commit(&mut engine);
    }
    publish_pattern(&mut engine, "#", b"pattern");
    everywhere((disk, engine), |reader| {
        let filter = filter("#");
        for newest_first in [false, true] {
            let request = MessageRequest { newest_first, ..MessageRequest::all(&filter) };
            let whole = read(&reader.snapshot(), request);
            assert_eq!(whole.len(), 81);
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let snapshot = reader.snapshot();
                let page = snapshot.messages(MessageRequest { after, ..request }).unwrap().take(7);
                let page: Vec<_> = page.map(|message| message.unwrap()).collect();
                let Some(last) = page.last() else { break };
                after = Some(last.at);
                pages.extend(page.iter().map(super::shown));
            }
            assert_eq!(pages, whole);
        }
    });
}

#[test]
fn patterns_that_were_not_written_do_not_count() {
    let (disk, mut engine) = new(EngineOptions::default());
    let texts: Vec<String> = (0..PATTERNS_MAX).map(|number| format!("{number}/+")).collect();
    let messages: Vec<_> = texts.iter().map(|text| message(text, b"1")).collect();
    let late = publish_pattern(&mut engine, "early/+", b"1").lsn;
    commit(&mut engine);
    engine.stage(&Write::new(Operation::PublishPattern(&messages[1..])), NOW_MS).unwrap();
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    assert!(matches!(engine.append(NOW_MS), Err(WriteError::Append(_))));
    let next = publish_pattern(&mut engine, "late/+", b"2").lsn;
    commit(&mut engine);
    assert_eq!(next, late.next().next(), "its definition and its message");
    assert_eq!(payloads(&engine.reader(), "early/x"), [b"1"]);
    assert_eq!(payloads(&engine.reader(), "late/x"), [b"2"]);
}

/// A board without a battery tells 1970 until somebody tells it the time.
#[test]
fn a_trim_takes_nothing_that_is_published_when_the_clock_has_been_set() {
    let (_disk, mut engine) = new(options());
    let ten_hours = 36_000_000;
    let publish = |engine: &mut Sim, now_ms| {
        let messages = [message("a", b"1")];
        engine.stage(&Write::new(Operation::Publish(&messages)), now_ms).unwrap();
    };
    publish(&mut engine, ten_hours);
    let trim = TrimBefore { topics: &["a"], before_ms: u64::MAX };
    engine.stage(&Write::new(Operation::Trim(trim)), ten_hours).unwrap();
    publish(&mut engine, NOW_MS);
    commit(&mut engine);
    assert_eq!(payloads(&engine.reader(), "a"), [b"1"]);
}

#[test]
fn a_long_trim_is_whole_at_once_and_removed_in_parts() {
    let options = EngineOptions { removed_keys_max: 6, ..options() };
    let (disk, mut engine) = new(options);
    for number in 0..20_u8 {
        publish(&mut engine, "long", &[number; 100]);
        publish(&mut engine, "short", &[number; 100]);
    }
    flush(&mut engine);
    trim(&mut engine, &["long"], u64::MAX).unwrap();
    publish(&mut engine, "long", b"new");
    let live_bytes = engine.stats().live_bytes;
    let mut parts = 0;
    let mut job = engine.flush_now();
    while let Some(part) = job {
        engine.flushed(part.run()).unwrap();
        parts += 1;
        if parts == 2 {
            drop(engine);
            engine = fixture::open(&disk, options);
        }
        let reader = engine.reader();
        assert_eq!(payloads(&reader, "long"), [b"new"]);
        assert_eq!((payloads(&reader, "short").len(), payloads(&reader, "#").len()), (20, 21));
        let first = MessageId { lsn: Lsn(2), index: 0 };
        let gone = write(&mut engine, Operation::DeleteMessage(first));
        assert_eq!(gone, Err(WriteError::NoMessage { lsn: Lsn(2), index: 0 }));
        job = engine.flush_job();
    }
    assert_eq!(parts, 4, "6 + 6 + 6 + 2, and the trim itself");
    assert!(engine.stats().live_bytes < live_bytes * 11 / 20);
    let reader = engine.reader();
    assert_eq!(payloads(&reader, "long"), [b"new"]);
}

#[test]
fn a_publish_that_is_refused_leaves_no_topic() {
    let (disk, mut engine) = new(options());
    let segment_bytes = usize::try_from(options().segment_bytes).unwrap();
    fixture::put(&mut engine, b"first", b"");
    commit(&mut engine);
    let left = segment_bytes - engine.tail().offset as usize;
    // What defines a topic has room in the segment, what is published to it has not.
    fixture::put(&mut engine, b"filler", &vec![7; left - 700]);
    commit(&mut engine);
    let segment = engine.tail().segment;
    disk.inject(Fault::once(Calls::Directory, 1, IoError::NoSpace));
    let refused = write(&mut engine, Operation::Publish(&[message("new", &[1; 2_000])]));
    assert_eq!(refused, Err(WriteError::NoSpace));
    commit(&mut engine);
    assert!(topics(&engine.reader(), "#").is_empty());
    publish(&mut engine, "new", &[1; 2_000]);
    assert!(engine.tail().segment > segment);
    assert_eq!(topics(&engine.reader(), "#"), ["new"]);
}

/// A record that defines a topic of that id.
fn definition(lsn: u64, id: u64, name: &str) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let name = Some(builder.create_string(name));
    let root = StreamDefineEntry::create(&mut builder, &StreamDefineEntryArgs { id, name });
    builder.finish_minimal(root);
    let bytes = builder.finished_data().to_vec();
    let mut builder = FlatBufferBuilder::new();
    let entry = Some(builder.create_vector(&bytes));
    let entry = EncodedEntry::create(&mut builder, &EncodedEntryArgs { entry });
    let entries = Some(builder.create_vector(&[entry]));
    let (operation_type, entry_type) = (OperationType::TopicDefine, EntryType::Event);
    let args =
        LogRecordArgs { lsn, operation_type, entry_type, entries, ..LogRecordArgs::default() };
    let root = LogRecord::create(&mut builder, &args);
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
}

#[test]
fn a_log_that_gave_the_highest_ids_away_takes_no_new_topic() {
    for (id, left) in [(u64::MAX, 0), (u64::MAX - 1, 0), (u64::MAX - 2, 1)] {
        let (disk, mut follower) = new(follower_options());
        let record = definition(1, id, "taken");
        let mut frames = vec![0; frame_bytes(record.len()).unwrap()];
        write_frame(&record, &mut frames).unwrap();
        let segment_bytes = options().segment_bytes;
        let run =
            RunHeader { segment: SegmentId(1), offset: 64, first: Lsn(1), count: 1, segment_bytes };
        follower.apply_run(run, &frames, NOW_MS).unwrap();
        drop(follower);
        let mut engine = fixture::open(&disk, options());
        publish(&mut engine, "taken", b"1");
        for number in 0..2 {
            let name = format!("new/{number}");
            let written = write(&mut engine, Operation::Publish(&[message(&name, b"2")]));
            assert_eq!(written.err(), (number >= left).then_some(WriteError::StreamIds), "{id}");
        }
        let two = [message("new/8", b"2"), message("new/9", b"2")];
        assert_eq!(write(&mut engine, Operation::Publish(&two)), Err(WriteError::StreamIds));
        assert_eq!(payloads(&engine.reader(), "taken"), [b"1"]);
        assert_eq!(topics(&engine.reader(), "new/+").len(), left);
    }
}
