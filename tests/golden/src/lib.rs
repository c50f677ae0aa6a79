//! Golden vectors, read from the pages in `schemas/`, and a decoder that shares no code with core.

use std::collections::BTreeMap;
use std::path::Path;

/// The vectors of one page: lines `name = hex` inside fenced blocks.
///
/// # Panics
/// When the page cannot be read, or a line is no vector: a golden file that says nothing must fail.
#[must_use]
pub fn vectors(page: &str) -> BTreeMap<String, Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(page);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .filter_map(|line| line.split_once(" = "))
        .filter(|(name, _)| {
            name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .map(|(name, hex)| (name.trim().to_owned(), bytes_of(hex.trim())))
        .collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "half a byte in {hex}");
    (0..hex.len())
        .step_by(2)
        .map(|at| {
            u8::from_str_radix(&hex[at..at + 2], 16)
                .unwrap_or_else(|error| panic!("{hex} is not hexadecimal: {error}"))
        })
        .collect()
}

/// CRC-32C, a bit at a time.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
    })
}

/// A frame, built from the table on the page.
///
/// # Panics
/// When the payload is longer than a length field can say.
#[must_use]
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_else(|_| panic!("payload too long"));
    let covered = [&length.to_le_bytes(), payload].concat();
    let mut frame = [&crc32c(&covered).to_le_bytes(), covered.as_slice()].concat();
    frame.extend_from_slice(&[0xDE, 0xAD, 0xBE, 0xEF, 0xFE, 0xED, 0xFA, 0xCE]);
    frame.resize(frame.len().next_multiple_of(8), 0);
    frame
}

/// The little-endian number in these bytes.
#[must_use]
pub fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
