//! The vectors of the byte format page, written and read back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use unison_base::{Hlc, LogId, Lsn, Position, SegmentId};
use unison_link::messages::{
    Ack, AnswerItem, Beat, BeatItem, Bye, Echo, Hello, Outcome, ProtocolRange, Run, Seal, Served,
    Want, Welcome, write, write_run,
};
use unison_link::wire::{Kind, Reader, Writer};
use unison_link::{ByeReason, Cursor, Refusal};

const PAGE: &str = include_str!("../../../../schemas/link.md");

/// Bytes of the vector of this name, from the page's last table.
fn vector(name: &str) -> Vec<u8> {
    let row = |line: &&str| line.starts_with(&format!("| {name} | `"));
    let line = PAGE.lines().find(row).unwrap_or_else(|| panic!("no vector {name}"));
    let hex = line.split('`').nth(1).unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn assert_written(name: &str, bytes: &[u8]) {
    assert_eq!(hex(&vector(name)), hex(bytes), "{name}");
}

fn assert_both<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    name: &str,
    kind: Kind,
    body: &T,
) {
    let mut out = [0; 256];
    let bytes = write(&mut out, kind, body).unwrap();
    assert_written(name, &out[..bytes]);
    assert_eq!(&Reader::open(&vector(name)).unwrap().only::<T>().unwrap(), body);
}

const CURSOR: Cursor = Cursor {
    log: LogId([0xA5; 16]),
    lsn: Lsn(300),
    position: Position { segment: SegmentId(2), offset: 128 },
    crc: 0x0403_0201,
};
const WANT: Want<'_> = Want {
    namespace: 0,
    ask: 1,
    name: "default",
    cursor: CURSOR,
    window_bytes: 1_048_576,
    filters: 0,
};

#[test]
fn hello_and_follow() {
    let hello = Hello {
        protocol: ProtocolRange { min: 1, max: 1 },
        node: "edge-1",
        token: "secret",
        role: 0,
        run_bytes_max: 1_048_576,
        interval_ms: 5_000,
    };
    let mut out = [0; 256];
    let mut writer = Writer::begin(&mut out, Kind::Hello).unwrap();
    assert!(writer.put(&hello) && writer.put(&WANT));
    let bytes = writer.finish(0).unwrap();
    assert_written("Hello", &out[..bytes]);
    let page = vector("Hello");
    let mut reader = Reader::open(&page).unwrap();
    assert_eq!(reader.take(), Ok(hello));
    assert_eq!(reader.only(), Ok(WANT));

    let bytes = write(&mut out, Kind::Follow, &WANT).unwrap();
    assert_written("Follow", &out[..bytes]);
    assert_eq!(Reader::open(&vector("Follow")).unwrap().only(), Ok(WANT));
}

#[test]
fn welcome() {
    let welcome = Welcome { protocol: 1, node: "hub", interval_ms: 5_000 };
    let log = LogId([0xA5; 16]);
    let served = Served { log, first: Lsn(1), durable: Lsn(301), segment_bytes: 16_777_216 };
    let yes = AnswerItem { namespace: 0, ask: 1, outcome: Outcome::Serve(served) };
    let behind = Outcome::refused(Refusal::BehindRetention { first: Lsn(70) });
    let no = AnswerItem { namespace: 1, ask: 1, outcome: behind };
    let mut out = [0; 256];
    let mut writer = Writer::begin(&mut out, Kind::Welcome).unwrap();
    assert!(writer.put(&welcome) && writer.put(&yes) && writer.put(&no));
    let bytes = writer.finish(0).unwrap();
    assert_written("Welcome", &out[..bytes]);
    let page = vector("Welcome");
    let mut reader = Reader::open(&page).unwrap();
    assert_eq!(reader.take(), Ok(welcome));
    assert_eq!((reader.take(), reader.only()), (Ok(yes), Ok(no)));
}

#[test]
fn run() {
    let mut frame = [0; 48];
    let payload = crate::log::record(301, 2);
    let frame_bytes = unison_base::frame::write_frame(&payload, &mut frame).unwrap();
    let run = Run {
        namespace: 0,
        segment: SegmentId(2),
        offset: 192,
        first: Lsn(301),
        count: 1,
        segment_bytes: 16_777_216,
        durable: Lsn(301),
        frame_bytes: u32::try_from(frame_bytes).unwrap(),
    };
    let mut out = [0; 128];
    let head = write_run(&mut out, &run).unwrap();
    let message = [&out[..head], &frame[..frame_bytes]].concat();
    assert_written("Run", &message);
    assert_eq!(Run::open(&vector("Run")), Ok((run, head)));
}

#[test]
fn the_others() {
    let seal = Seal {
        namespace: 0,
        segment: SegmentId(2),
        offset: 16_777_152,
        next_segment_bytes: 16_777_216,
    };
    assert_both("Seal", Kind::Seal, &seal);
    let ack = Ack {
        namespace: 0,
        durable: Lsn(301),
        applied: Lsn(301),
        taken_bytes: 48,
        window_bytes: 1_048_576,
    };
    assert_both("Ack", Kind::Ack, &ack);
    let beat = Beat {
        time_ms: 1_700_000_000_000,
        echo: Some(Echo { time_ms: 77, held_ms: 1_200 }),
        hlc: Hlc::from_millis(1_700_000_000_000),
        interval_ms: 5_000,
    };
    assert_both("Beat", Kind::Beat, &(beat, BeatItem { namespace: 0, durable: Lsn(301) }));
    let bye = Bye { reason: ByeReason::Busy.encode(), retry_after_ms: 30_000 };
    assert_both("Bye", Kind::Bye, &bye);
}
