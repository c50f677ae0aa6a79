use super::{Entry, Stream, unpack};
use crate::table::{Format, Table};

fn table() -> Table {
    let format = |level, text: &str| Format { level, text: text.to_owned() };
    Table {
        formats: [
            (1, format(Some("INFO"), "heap: {=usize} of {=u64} bytes, cached: {=bool}")),
            (2, format(Some("WARN"), "{}: {=str} {=u16:x}")),
            (3, format(None, "{=__internal_Display}")),
            (4, format(None, "Off|Refused({=u8})|Open")),
            (5, format(Some("ERROR"), "{=?}")),
        ]
        .into(),
        timestamp: Some("{=u64:ms}".to_owned()),
        ..Table::default()
    }
}

/// Packs a frame that has a zero in each seven bytes: a byte of flags behind them, and no zeros.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(7), 0);
    let mut packed = Vec::new();
    for group in bytes.chunks(7) {
        let mut flags = 0;
        for (bit, &byte) in group.iter().enumerate() {
            if byte == 0 { flags |= 1 << bit } else { packed.push(byte) }
        }
        packed.push(flags);
    }
    packed
}

fn lines(frames: &[&[u8]]) -> Vec<Entry> {
    let mut stream = Stream::new(table());
    for frame in frames {
        let mut bytes = pack(frame);
        bytes.push(0);
        // In two parts: a message may come in any.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        stream.received(first);
        assert_eq!(stream.next(), None);
        stream.received(second);
    }
    stream.collect()
}

#[test]
fn packing_is_undone() {
    for length in 1..60_u8 {
        let bytes: Vec<_> = (0..length).map(|at| if at % 3 == 0 { 0 } else { at }).collect();
        assert_eq!(unpack(&pack(&bytes)).unwrap()[..bytes.len()], bytes);
    }
}

#[test]
fn messages_become_lines() {
    let time = 1_234_u64.to_le_bytes();
    let heap = [&[1, 0][..], &time, &7_u32.to_le_bytes(), &900_u64.to_le_bytes(), &[1]].concat();
    let name =
        [&[2, 0][..], &time, &[3, 0], b"disk\xff", &[2, 0, 0, 0], b"no", &[0x1f, 0]].concat();
    let variant = [&[5, 0][..], &time, &[4, 0], &[1], &[9]].concat();
    let found: Vec<_> = [heap, name, variant].iter().flat_map(|frame| lines(&[frame])).collect();
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "     1.234 INFO  heap: 7 of 900 bytes, cached: true",
            "     1.234 WARN  disk: no 0x1f",
            "     1.234 ERROR Refused(9)",
        ]
    );
}

#[test]
fn what_is_no_message_is_shown_as_such() {
    for frame in
        [&[9, 0, 0, 0][..], &[1, 0], &[1, 0, 1, 2, 3], &[3, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0xff]]
    {
        let found = lines(&[frame]);
        assert!(found.iter().any(|entry| entry.level == "?"), "{found:?}");
    }
    let mut stream = Stream::new(table());
    stream.received(&[1, 2, 3, 0, 0, 0, 0xff, 0]);
    assert_eq!(stream.map(|entry| entry.level).collect::<Vec<_>>(), ["?", "?"]);
}
