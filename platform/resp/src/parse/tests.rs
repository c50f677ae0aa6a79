use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use std::time::{Duration, Instant};

use super::{ARGUMENTS_MAX, COMMAND_BYTES_MAX, INLINE_BYTES_MAX, Parser, ProtocolError, number};
use unison_base::limits::VALUE_MAX;

type Commands = Vec<Vec<Vec<u8>>>;

/// Feeds `input` in pieces cut at `cuts`, as a connection does; the commands and what came of it.
fn feed(input: &[u8], cuts: &[usize]) -> (Commands, Result<usize, ProtocolError>) {
    let mut parser = Parser::default();
    let (mut commands, mut start) = (Vec::new(), 0);
    for end in cuts.iter().copied().chain([input.len()]) {
        loop {
            let available = &input[start..end];
            match parser.parse(available) {
                Ok(Some(consumed)) => {
                    assert!(consumed > 0 && consumed <= available.len());
                    commands.push(copied(&parser, available));
                    start += consumed;
                }
                Ok(None) => break,
                Err(error) => return (commands, Err(error)),
            }
        }
    }
    (commands, Ok(input.len() - start))
}

fn copied(parser: &Parser, available: &[u8]) -> Vec<Vec<u8>> {
    let command = parser.inline_command().unwrap_or_else(|| parser.command(available));
    let words: Vec<_> = command.arguments_from(0).map(<[u8]>::to_vec).collect();
    assert_eq!(words.len(), command.len());
    assert_eq!(command.argument(words.len()), b"");
    words
}

/// Pipelined requests of all kinds, and what they say.
fn conversation() -> (Vec<u8>, Commands) {
    let input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$7\r\nv\r\n*$1:\r\n*1\r\n$4\r\nPING\r\nGET 'a b' \"\\x41\\n\"\r\n\
        *0\r\n\r\n*2\r\n$0\r\n\r\n$2\r\n\r\n\r\n*-1\r\nPING\n"
        .to_vec();
    let commands: [&[&[u8]]; 8] = [
        &[b"SET", b"k", b"v\r\n*$1:"],
        &[b"PING"],
        &[b"GET", b"a b", b"A\n"],
        &[],
        &[],
        &[b"", b"\r\n"],
        &[],
        &[b"PING"],
    ];
    let owned = |words: &&[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
    (input, commands.iter().map(owned).collect())
}

#[test]
fn every_pair_of_cuts_gives_the_same_commands() {
    let (input, expected) = conversation();
    for first in 0..=input.len() {
        for second in first..=input.len() {
            let (commands, rest) = feed(&input, &[first, second]);
            assert_eq!((commands, rest), (expected.clone(), Ok(0)), "cuts {first} {second}");
        }
    }
    let every_byte: Vec<usize> = (0..input.len()).collect();
    assert_eq!(feed(&input, &every_byte), (expected, Ok(0)));
}

#[test]
fn every_prefix_gives_a_prefix_of_the_commands() {
    let (input, expected) = conversation();
    for length in 0..input.len() {
        let (commands, rest) = feed(&input[..length], &[]);
        assert_eq!(commands, expected[..commands.len()], "prefix {length}");
        assert!(rest.is_ok_and(|rest| rest <= length));
    }
}

#[test]
fn every_single_byte_edit_ends_in_commands_or_an_error() {
    let (input, _) = conversation();
    let mut outcomes = [0_usize; 2];
    for at in 0..input.len() {
        for byte in 0..=u8::MAX {
            let mut edited = input.clone();
            edited[at] = byte;
            let (whole, result) = feed(&edited, &[]);
            let halves = feed(&edited, &[at / 2, at]);
            assert_eq!((&whole, &result), (&halves.0, &halves.1), "byte {at} = {byte}");
            outcomes[usize::from(result.is_err())] += 1;
        }
    }
    assert!(outcomes[0] > 10_000 && outcomes[1] > 1_000, "{outcomes:?}");
}

#[test]
fn a_length_above_its_limit_is_refused_from_the_header_alone() {
    let header = b"*2\r\n$3\r\nGET\r\n$104857600\r\n";
    let error = feed(header, &[]).1.unwrap_err();
    assert_eq!(error, ProtocolError::Bulk { bytes: 104_857_600 });
    assert_eq!(error.to_string(), "value of 104857600 bytes is above the limit of 4194304 (value)");
    for (count, allowed) in [(ARGUMENTS_MAX, true), (ARGUMENTS_MAX + 1, false)] {
        assert_eq!(feed(format!("*{count}\r\n").as_bytes(), &[]).1.is_ok(), allowed);
    }
    let whole = format!("${VALUE_MAX}\r\n{}\r\n", "v".repeat(VALUE_MAX));
    let together = format!("*9\r\n{}", whole.repeat(COMMAND_BYTES_MAX / VALUE_MAX + 1));
    assert_eq!(feed(together.as_bytes(), &[]).1, Err(ProtocolError::Command));
    assert_eq!(feed(&vec![b'x'; INLINE_BYTES_MAX], &[]).1, Ok(INLINE_BYTES_MAX));
    assert_eq!(feed(&vec![b'x'; INLINE_BYTES_MAX + 1], &[]).1, Err(ProtocolError::Inline));
}

#[test]
fn each_damage_has_its_own_error() {
    for (input, error) in [
        ("*x\r\n", ProtocolError::ArgumentCount),
        ("*\r\n", ProtocolError::ArgumentCount),
        ("*99999999999999999999\r\n", ProtocolError::ArgumentCount),
        ("*4294967297\r\n", ProtocolError::Arguments { count: 4_294_967_297 }),
        ("*9223372036854775807\r\n", ProtocolError::Arguments { count: i64::MAX as u64 }),
        ("*1\r\n$-1\r\n", ProtocolError::BulkLength),
        ("*1\r\n$\r\n", ProtocolError::BulkLength),
        ("*1\r\n$18446744073709551616\r\n", ProtocolError::BulkLength),
        ("*1\r\n$9223372036854775807\r\n", ProtocolError::Bulk { bytes: i64::MAX as u64 }),
        ("*1\r\n:1\r\n", ProtocolError::ExpectedBulk(b':')),
        ("*1\n", ProtocolError::ExpectedLineEnd),
        ("*1\r\n$1\r\nab\r\n", ProtocolError::ExpectedLineEnd),
        ("*00000000000000000000000000000000", ProtocolError::ExpectedLineEnd),
        ("GET \"a\r\n", ProtocolError::Quotes),
        ("GET 'a'b\r\n", ProtocolError::Quotes),
    ] {
        assert_eq!(feed(input.as_bytes(), &[]).1, Err(error), "{input}");
    }
}

#[test]
fn a_large_command_a_byte_at_a_time_is_scanned_once() {
    let mut input = b"*2000\r\n".to_vec();
    input.extend(b"$1\r\nx\r\n".repeat(2_000));
    let began = Instant::now();
    let mut parser = Parser::default();
    for end in 0..input.len() {
        assert_eq!(parser.parse(&input[..end]), Ok(None));
    }
    assert_eq!(parser.parse(&input), Ok(Some(input.len())));
    assert_eq!(parser.command(&input).len(), 2_000);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_bytes_that_are_missing_are_known_from_the_header() {
    let mut parser = Parser::default();
    let input = b"*1\r\n$100\r\nabc";
    assert_eq!(parser.parse(input), Ok(None));
    assert_eq!(parser.missing(input.len()), 100 - 3 + 2);
}

#[test]
fn numbers_to_both_ends() {
    assert_eq!(number(b"9223372036854775807"), Some(i64::MAX));
    assert_eq!(number(b"-9223372036854775808"), Some(i64::MIN));
    for bad in [
        "",
        "-",
        "-0",
        "00",
        "007",
        "-07",
        "+1",
        "1 ",
        "9223372036854775808",
        "-9223372036854775809",
        "0x1",
    ] {
        assert_eq!(number(bad.as_bytes()), None, "{bad}");
    }
}
