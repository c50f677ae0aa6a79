//! LSN to place, against a list of every record.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, Position};
use unison_walfs::{Bound, Log, LogOptions, LogRole, ReadError, Step};

#[test]
fn every_record_is_located_and_read_from() {
    for mapped in [false, true] {
        let disk = disk(mapped);
        let (mut log, _) = open(&disk);
        let mut model: Vec<Position> = Vec::new();
        while model.len() < 1_500 {
            let lsn = log.next_lsn();
            let bytes = record(lsn, Some(log.durable()), body_bytes(lsn, 900));
            match log.stage(&bytes) {
                Ok(position) => model.push(position),
                Err(_) => {
                    log.append_staged().unwrap();
                    log.rotate(NOW_NS).unwrap();
                }
            }
            if model.len().is_multiple_of(7) {
                log.append_staged().unwrap();
            }
        }
        log.append_staged().unwrap();
        log.sync().unwrap();
        check_lookups(&log, &model);
        log.close().unwrap();
        check_lookups(&open(&disk).0, &model);
        let trusting = LogOptions { verify_from: Lsn(1_500), ..options(LogRole::Leader) };
        check_lookups(&Log::open(store(&disk), trusting, NOW_NS).unwrap().0, &model);
        println!("{} records located, mapped: {mapped}", model.len() * 3);
    }
}

fn check_lookups<S: unison_ports::SegmentStore>(log: &Log<S>, model: &[Position]) {
    let reader = log.reader();
    for (at, position) in model.iter().enumerate() {
        let located = reader.locate(Lsn(at as u64 + 1)).unwrap();
        assert_eq!(located.position, *position, "record {}", at + 1);
    }
    let mut prng = Prng::new(9);
    for _ in 0..100 {
        let from = Lsn(prng.between(1, model.len() as u64));
        let mut cursor = reader.cursor(from, Bound::Durable).unwrap();
        for expected in (from.0..=model.len() as u64).take(5) {
            let record = cursor.next().unwrap().unwrap();
            assert_eq!(
                (record.lsn, record.position),
                (Lsn(expected), model[expected as usize - 1])
            );
            assert_eq!(record.crc, reader.locate(record.lsn).unwrap().crc);
        }
    }
    let last = Lsn(model.len() as u64);
    assert_eq!(reader.locate(last.next()), Err(ReadError::Ahead { last }));
    assert_eq!(reader.cursor(last.plus(2), Bound::Durable).err(), Some(ReadError::Ahead { last }));
    let mut tail = reader.cursor(last.next(), Bound::Durable).unwrap();
    assert!(tail.next().unwrap().is_none());
    assert_eq!(tail.position_lsn(), last.next());
}

#[test]
fn runs_hold_the_bytes_of_the_segment_for_any_bound_and_budget() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 700, 900);
    stage(&mut log, 900);
    log.append_staged().unwrap();
    let reader = log.reader();
    let mut runs = 0;
    for budget in [0, 1, 500, 4_096, 1 << 20] {
        let mut cursor = reader.cursor(Lsn::ZERO, Bound::Durable).unwrap();
        let mut next = Lsn(1);
        let mut place = Position { segment: unison_base::SegmentId(1), offset: 64 };
        while let Some(step) = cursor.next_run(budget).unwrap() {
            match step {
                Step::Run { segment, offset, first, count, segment_bytes, frames } => {
                    assert_eq!((Position { segment, offset }, first), (place, next));
                    assert!(frames.len() <= budget || count == 1);
                    assert_eq!(segment_bytes, SEGMENT_BYTES);
                    let bytes = reader.bytes(segment, offset, frames.len() as u32).unwrap();
                    assert_eq!(bytes, frames);
                    next = first.plus(u64::from(count));
                    place.offset += frames.len() as u32;
                    runs += 1;
                }
                Step::Seal { segment, offset, .. } => {
                    assert_eq!(Position { segment, offset }, place);
                    place = Position { segment: segment.next(), offset: 64 };
                }
            }
        }
        assert_eq!(next, Lsn(701), "the record above is not durable");
    }
    println!("{runs} runs");
}

#[test]
fn slices_stay_readable_when_the_log_is_gone() {
    for mapped in [false, true] {
        let disk = disk(mapped);
        let (mut log, _) = open(&disk);
        fill(&mut log, 10, 900);
        let record = log.reader().cursor(Lsn(4), Bound::Durable).unwrap().next().unwrap().unwrap();
        let expected = record.payload.to_vec();
        assert_eq!(record.payload.is_mapped(), mapped);
        drop(log);
        let part = record.payload.sub(8..20);
        assert_eq!((&*record.payload, &*part), (&*expected, &expected[8..20]));
        assert_eq!(&*part.sub(2..4), &expected[10..12]);
        assert!(part.sub(5..13).is_empty(), "outside");
    }
}
