//! Logs that no writer of ours makes, and followers with little memory.

use super::model::{begin, commit, id};
use crate::fixture::{self, NOW_MS, Sim, flush, follower_options};
use crate::follow::fetch;
use flatbuffers::{FlatBufferBuilder, root};
use unison_base::frame::{frame_bytes, write_frame};
use unison_base::limits::{INDEX_ENTRY_BYTES, TRANSACTIONS_INDEX_BYTES_MAX};
use unison_base::{Lsn, SegmentId};
use unison_engine::{ApplyError, EngineOptions, Operation, Write};
use unison_schemas::{LogRecord, LogRecordArgs, OperationType, TxnState};
use unison_walfs::{Bound, LogRole, RunHeader, Step};

/// The record that opens a transaction.
fn beginning(lsn: u64, id: &[u8]) -> Vec<u8> {
    part(lsn, id, OperationType::TxnMarker, TxnState::Begin)
}

fn part(lsn: u64, id: &[u8], operation_type: OperationType, txn_state: TxnState) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let txn_id = Some(builder.create_vector(id));
    let args = LogRecordArgs { lsn, operation_type, txn_state, txn_id, ..Default::default() };
    let root = LogRecord::create(&mut builder, &args);
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
}

/// A log's next run, for the first segment.
struct Run {
    offset: u32,
    next: u64,
}

impl Run {
    fn apply(&mut self, follower: &mut Sim, payloads: &[Vec<u8>]) -> Result<Lsn, ApplyError> {
        let mut frames = Vec::new();
        for payload in payloads {
            let start = frames.len();
            frames.resize(start + frame_bytes(payload.len()).unwrap(), 0);
            write_frame(payload, &mut frames[start..]).unwrap();
        }
        let count = u32::try_from(payloads.len()).unwrap();
        let (segment, first) = (SegmentId(1), Lsn(self.next));
        let segment_bytes = 64 << 20;
        let run = RunHeader { segment, offset: self.offset, first, count, segment_bytes };
        let applied = follower.apply_run(run, &frames, NOW_MS)?;
        self.offset += u32::try_from(frames.len()).unwrap();
        self.next += u64::from(count);
        Ok(applied)
    }
}

fn wide(role: LogRole) -> EngineOptions {
    EngineOptions { role, segment_bytes: 64 << 20, ..EngineOptions::default() }
}

#[test]
fn thousands_of_beginnings_are_refused_before_they_fill_memory() {
    let (_disk, mut follower) = fixture::new(wide(LogRole::Follower));
    let mut run = Run { offset: 64, next: 1 };
    let refusal = loop {
        let many = run.next..run.next + 5_000;
        let ids = many.map(|lsn| beginning(lsn, &[&lsn.to_le_bytes()[..], &[7; 9]].concat()));
        match run.apply(&mut follower, &ids.collect::<Vec<_>>()) {
            Ok(_) => assert!(run.next < 200_000, "{} are open", follower.open_transactions()),
            Err(error) => break error,
        }
    };
    let limit = 2 * TRANSACTIONS_INDEX_BYTES_MAX;
    assert!(matches!(refusal, ApplyError::Transactions { limit: l, .. } if l == limit));
}

#[test]
fn what_another_program_began_is_ended_in_the_log() {
    let (disk, mut follower) = fixture::new(wide(LogRole::Follower));
    let ids = [[1; 17].to_vec(), [2; 20].to_vec()];
    let begun = [beginning(1, &ids[0]), beginning(2, &ids[1])];
    Run { offset: 64, next: 1 }.apply(&mut follower, &begun).unwrap();
    assert_eq!(follower.open_transactions(), 2);
    follower.close().unwrap();
    let mut leader = fixture::open(&disk, wide(LogRole::Leader));
    assert_eq!((leader.tend_transactions(NOW_MS), leader.open_transactions()), (Ok(2), 0));
    fixture::commit(&mut leader);
    let mut cursor = leader.log().cursor(Lsn(3), Bound::Durable).unwrap();
    for id in ids {
        let ended = cursor.next().unwrap().unwrap();
        let ended = root::<LogRecord<'_>>(&ended.payload).unwrap();
        assert_eq!(ended.txn_id().unwrap().bytes(), id);
    }
    let (_disk, mut follower) = fixture::new(wide(LogRole::Follower));
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    assert_eq!(follower.open_transactions(), 0);
}

#[test]
fn a_record_that_is_read_again_for_an_open_transaction_is_counted_once() {
    let (disk, mut follower) = fixture::new(follower_options());
    let mut run = Run { offset: 64, next: 1 };
    run.apply(&mut follower, &[beginning(1, &[1; 16])]).unwrap();
    let foreign = part(2, &[1; 16], OperationType(100), TxnState::Prepare);
    run.apply(&mut follower, &[foreign]).unwrap();
    flush(&mut follower);
    for _ in 0..2 {
        assert_eq!(follower.stats().skipped_records, 1);
        follower.close().unwrap();
        follower = fixture::open(&disk, follower_options());
        assert_eq!(follower.open_transactions(), 1);
    }
}

/// A commit puts all at once into the index.
#[test]
fn a_commit_waits_for_room() {
    let (_disk, mut leader) = fixture::new(EngineOptions::default());
    begin(&mut leader, id(1)).unwrap();
    let keys: Vec<_> = (0..5_000_u64).map(u64::to_be_bytes).collect();
    let pairs: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &b""[..])).collect();
    leader.stage(&Write::new(Operation::PutBatch(&pairs)).within(id(1)), NOW_MS).unwrap();
    commit(&mut leader, id(1), &[]).unwrap();
    fixture::commit(&mut leader);
    let bytes = 5_000 * (9 + INDEX_ENTRY_BYTES);
    let log = leader.log();
    let step = log.cursor(Lsn(1), Bound::Durable).unwrap().next_run(1 << 20).unwrap().unwrap();
    let Step::Run { segment, offset, first, count, segment_bytes, frames } = step else {
        panic!("a run comes first")
    };
    let run = RunHeader { segment, offset, first, count, segment_bytes };
    let (_disk, mut follower) = fixture::new(wide(LogRole::Follower));
    follower.set_index_room(bytes + 70_000);
    let refused = |room| Err(ApplyError::Memory { lsn: Lsn(3), bytes, room });
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), refused(70_000));
    assert_eq!(follower.appended(), Lsn(2));
    follower.set_index_room(bytes - 1);
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), refused(bytes - 1));
    follower.set_index_room(bytes);
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Ok(Lsn(3)));
    follower.publish(Lsn(3));
    assert_eq!(follower.reader().count().unwrap(), 5_000);
}
