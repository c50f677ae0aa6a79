//! Topics that a transaction names: there at its commit, or never, and the same ones to all.

use super::model::{abort, begin, commit, id};
use crate::fixture::{self, NOW_MS, Sim, follower_options, new, options};
use crate::follow::fetch;
use crate::topics::{everywhere, message, payloads, publish, publish_pattern, topics};
use unison_base::checksum::crc32;
use unison_base::limits::{PATTERNS_MAX, TOPIC_NAME_MAX};
use unison_base::{Lsn, TxnId};
use unison_engine::{
    EngineOptions, NewMessage, Operation, TopicFilter, TransactionError, Write, WriteError,
};
use unison_ports::IoError;
use unison_sim::disk::{Calls, Fault};

fn publish_within(
    engine: &mut Sim,
    id: TxnId,
    messages: &[NewMessage<'_>],
) -> Result<Lsn, WriteError> {
    let write = Write::new(Operation::Publish(messages)).within(id);
    Ok(engine.stage(&write, NOW_MS)?.lsn)
}

fn pattern_within(engine: &mut Sim, id: TxnId, pattern: &str) -> Result<Lsn, WriteError> {
    let messages = [message(pattern, b"to many")];
    let write = Write::new(Operation::PublishPattern(&messages)).within(id);
    Ok(engine.stage(&write, NOW_MS)?.lsn)
}

#[test]
fn a_topic_that_a_transaction_names_is_there_from_its_commit_on() {
    let (disk, mut engine) = new(options());
    begin(&mut engine, id(1)).unwrap();
    publish_within(&mut engine, id(1), &[message("new/a", b"1"), message("new/b", b"2")]).unwrap();
    publish_within(&mut engine, id(1), &[message("new/a", b"3")]).unwrap();
    fixture::commit(&mut engine);
    fixture::flush(&mut engine);
    assert!(topics(&engine.reader(), "#").is_empty());
    let before = engine.applied();
    commit(&mut engine, id(1), &[]).unwrap();
    assert!(topics(&engine.reader(), "#").is_empty(), "it is not published");
    fixture::commit(&mut engine);
    let then = engine.reader().snapshot_at(before).unwrap();
    assert_eq!(then.topics(&TopicFilter::new("#").unwrap(), None).unwrap().count(), 0);
    let (_, mut follower) = new(follower_options());
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    let look = |reader: &unison_engine::Reader<_>| {
        assert_eq!(topics(reader, "#"), ["new/a", "new/b"]);
        assert_eq!(payloads(reader, "new/a"), [b"1", b"3"]);
        assert_eq!(payloads(reader, "#"), [b"1", b"2", b"3"]);
    };
    look(&follower.reader());
    everywhere((disk, engine), look);
}

#[test]
fn of_one_that_is_not_committed_no_topic_stays() {
    let (disk, mut engine) = new(options());
    for number in 1..=2 {
        begin(&mut engine, id(number)).unwrap();
        publish_within(&mut engine, id(number), &[message("never", b"1")]).unwrap();
        pattern_within(&mut engine, id(number), "never/+").unwrap();
    }
    abort(&mut engine, id(1)).unwrap();
    publish(&mut engine, "there", b"2");
    // The second one ends with its writer.
    drop(engine);
    let mut engine = fixture::open(&disk, options());
    publish(&mut engine, "there", b"3");
    let (_, mut follower) = new(follower_options());
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    let look = |reader: &unison_engine::Reader<_>| {
        assert_eq!(topics(reader, "#"), ["there"]);
        assert_eq!(payloads(reader, "#"), [b"2", b"3"]);
    };
    look(&follower.reader());
    everywhere((disk, engine), look);
}

#[test]
fn what_several_name_is_one_topic_whoever_comes_first() {
    for first in 0..4 {
        let (disk, mut engine) = new(options());
        for number in 1..=3 {
            begin(&mut engine, id(number)).unwrap();
            publish_within(&mut engine, id(number), &[message("same", b"in one")]).unwrap();
            pattern_within(&mut engine, id(number), "+").unwrap();
        }
        if first == 0 {
            publish(&mut engine, "same", b"alone");
            publish_pattern(&mut engine, "+", b"alone");
        } else {
            commit(&mut engine, id(first), &[]).unwrap();
        }
        // The next ones have ids of their own.
        publish(&mut engine, "other/one", b"other");
        publish_pattern(&mut engine, "other/+", b"other");
        for number in (1..=3).filter(|number| *number != first) {
            match number {
                2 => abort(&mut engine, id(2)).unwrap(),
                _ => commit(&mut engine, id(number), &[]).unwrap(),
            };
        }
        fixture::commit(&mut engine);
        // The second one is aborted unless it comes first.
        let shown = if first % 2 == 0 { 6 } else { 4 };
        everywhere((disk, engine), |reader| {
            assert_eq!(topics(reader, "#"), ["other/one", "same"]);
            assert_eq!(payloads(reader, "same").len(), shown, "{first}");
            assert_eq!(payloads(reader, "other/+"), [b"other"; 2], "{first}");
        });
    }
}

#[test]
fn ids_that_an_open_one_gave_are_not_given_to_others() {
    let (disk, mut engine) = new(options());
    begin(&mut engine, id(1)).unwrap();
    publish_within(&mut engine, id(1), &[message("in one", b"1")]).unwrap();
    fixture::commit(&mut engine);
    // What was staged is taken back, so ids are counted anew.
    publish_pattern(&mut engine, "+/known", b"0");
    let staged = [message("+/lost", b"2")];
    engine.stage(&Write::new(Operation::PublishPattern(&staged)), NOW_MS).unwrap();
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    engine.append(NOW_MS).unwrap_err();
    publish(&mut engine, "other", b"3");
    commit(&mut engine, id(1), &[]).unwrap();
    fixture::commit(&mut engine);
    everywhere((disk, engine), |reader| {
        assert_eq!(payloads(reader, "in one"), [b"1"]);
        assert_eq!(payloads(reader, "other"), [b"3"]);
    });
}

#[test]
fn names_do_not_count_for_the_checksum_of_what_was_put() {
    let (_, mut engine) = new(options());
    begin(&mut engine, id(1)).unwrap();
    publish_within(&mut engine, id(1), &[message("new/a", b"one"), message("b", b"two")]).unwrap();
    pattern_within(&mut engine, id(1), "new/#").unwrap();
    let written = commit(&mut engine, id(1), &[]).unwrap();
    assert_eq!(written.checksum, Some(crc32(b"onetwoto many")));
}

/// As the hub has it: a record of a thousand names has room in a segment.
fn roomy() -> EngineOptions {
    EngineOptions { segment_bytes: 16 << 20, memtable_bytes: 64 << 20, ..EngineOptions::default() }
}

#[test]
fn names_count_for_what_a_transaction_may_take() {
    let (_, mut engine) = new(roomy());
    begin(&mut engine, id(1)).unwrap();
    let long = "n".repeat(TOPIC_NAME_MAX - 10);
    let mut named = 0;
    let refused = loop {
        let names: Vec<_> = (named..named + 200).map(|number| format!("{long}/{number}")).collect();
        let messages: Vec<_> = names.iter().map(|name| message(name, b"")).collect();
        match publish_within(&mut engine, id(1), &messages) {
            Ok(_) => named += 200,
            Err(error) => break error,
        }
    };
    let too_large = WriteError::Transaction(TransactionError::TooLarge { bytes: 0, limit: 0 });
    assert_eq!(std::mem::discriminant(&refused), std::mem::discriminant(&too_large), "{refused}");
    commit(&mut engine, id(1), &[]).unwrap();
    fixture::commit(&mut engine);
    assert_eq!(topics(&engine.reader(), "#").len(), named);
}

#[test]
fn patterns_that_open_ones_name_are_counted() {
    let (_, mut engine) = new(roomy());
    let per_write = PATTERNS_MAX / 2;
    for number in 1..=3 {
        begin(&mut engine, id(number)).unwrap();
        let texts: Vec<_> = (0..per_write).map(|text| format!("p/{number}/{text}/+")).collect();
        let messages: Vec<_> = texts.iter().map(|text| message(text, b"")).collect();
        let write = Write::new(Operation::PublishPattern(&messages)).within(id(number));
        let refused = (number == 3).then_some(WriteError::Patterns { limit: PATTERNS_MAX });
        assert_eq!(engine.stage(&write, NOW_MS).err(), refused);
    }
    abort(&mut engine, id(1)).unwrap();
    pattern_within(&mut engine, id(3), "room/+").unwrap();
}

#[test]
fn a_publish_that_is_refused_leaves_no_topic_to_its_transaction() {
    let (disk, mut engine) = new(options());
    begin(&mut engine, id(1)).unwrap();
    fixture::commit(&mut engine);
    let segment_bytes = usize::try_from(options().segment_bytes).unwrap();
    let left = segment_bytes - engine.tail().offset as usize;
    // What defines a topic has room in the segment, what is published to it has not.
    fixture::put(&mut engine, b"filler", &vec![7; left - 1_000]);
    fixture::commit(&mut engine);
    disk.inject(Fault::once(Calls::Directory, 1, IoError::NoSpace));
    let payload = [1; 2_000];
    let refused = publish_within(&mut engine, id(1), &[message("new", &payload)]);
    assert_eq!(refused, Err(WriteError::NoSpace));
    publish_within(&mut engine, id(1), &[message("other", &payload)]).unwrap();
    commit(&mut engine, id(1), &[]).unwrap();
    fixture::commit(&mut engine);
    assert_eq!(topics(&engine.reader(), "#"), ["other"]);
}
