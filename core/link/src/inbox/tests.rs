use super::{INBOX_BYTES_MIN, Inbox, Memory, Next};
use crate::messages::{Bye, Run, write, write_run};
use crate::wire::{Kind, WireError};
use alloc::vec;
use alloc::vec::Vec;
use unison_base::{Lsn, SegmentId};

fn fill<M: Memory>(inbox: &mut Inbox<M>, bytes: &[u8]) -> usize {
    let space = inbox.space();
    let taken = space.len().min(bytes.len());
    space[..taken].copy_from_slice(&bytes[..taken]);
    inbox.filled(taken);
    taken
}

fn run_message(frame_bytes: u32) -> Vec<u8> {
    let (segment, first) = (SegmentId(1), Lsn(1));
    let run = Run {
        namespace: 0,
        segment,
        offset: 64,
        first,
        count: 1,
        segment_bytes: 4 << 30,
        durable: first,
        frame_bytes,
    };
    let mut out = vec![0; 128];
    let bytes = write_run(&mut out, &run).unwrap();
    out.truncate(bytes);
    out
}

#[test]
fn memory_grows_only_after_a_run_head_was_checked() {
    let mut inbox = Inbox::new(vec![0; INBOX_BYTES_MIN], 1 << 20).unwrap();
    let mut message = run_message(1 << 20);
    message.resize(200, 0);
    for &byte in message.iter().take(68) {
        fill(&mut inbox, &[byte]);
        assert!(matches!(inbox.next(), Ok(Next::Part { .. })));
        assert_eq!(inbox.memory.len(), INBOX_BYTES_MIN);
    }
    fill(&mut inbox, &message[68..]);
    assert!(matches!(inbox.next(), Ok(Next::Part { bytes }) if bytes > 1 << 20));
    assert!(inbox.memory.len() > 1 << 20);

    let mut damaged = Inbox::new(vec![0; INBOX_BYTES_MIN], 1 << 20).unwrap();
    message[7] ^= 1;
    fill(&mut damaged, &message);
    assert_eq!(damaged.next(), Err(WireError::Check { kind: 3 }));
    assert_eq!(damaged.memory.len(), INBOX_BYTES_MIN);
}

#[test]
fn runs_above_the_bound_are_refused_at_their_fifth_byte() {
    let mut inbox = Inbox::new(vec![0; INBOX_BYTES_MIN], 1_000).unwrap();
    fill(&mut inbox, &run_message(1 << 20)[..5]);
    assert!(matches!(inbox.next(), Err(WireError::TooLong { kind: 3, .. })));
}

#[test]
fn fixed_memory_refuses_what_it_cannot_hold() {
    let mut memory = [0; INBOX_BYTES_MIN];
    let mut inbox = Inbox::new(memory.as_mut_slice(), 1 << 20).unwrap();
    let mut message = run_message(10_000);
    message.resize(200, 0);
    fill(&mut inbox, &message);
    assert!(matches!(inbox.next(), Err(WireError::TooLong { kind: 3, .. })));
    assert!(Inbox::new([0; INBOX_BYTES_MIN - 1], 1).is_none());
}

#[test]
fn a_stream_of_messages_passes_through_a_small_buffer() {
    let mut message = vec![0; 32];
    let bye = Bye { reason: 1, retry_after_ms: 70_000 };
    let bytes = write(&mut message, Kind::Bye, &bye).unwrap();
    let stream = message[..bytes].repeat(500);
    let mut inbox = Inbox::new([0; INBOX_BYTES_MIN], 1).unwrap();
    let (mut at, mut seen) = (0, 0);
    while seen < 500 {
        at += fill(&mut inbox, &stream[at..stream.len().min(at + 97)]);
        while let Next::Message { bytes, .. } = inbox.next().unwrap() {
            assert_eq!(&inbox.pending()[..bytes], &message[..bytes]);
            inbox.consume(bytes);
            seen += 1;
        }
    }
}

#[test]
fn idle_memory_is_given_back() {
    let mut inbox = Inbox::new(vec![0; INBOX_BYTES_MIN], 1 << 20).unwrap();
    let mut message = run_message(100_000);
    message.resize(message.len() + 100_000, 0);
    let mut at = 0;
    while at < message.len() {
        at += fill(&mut inbox, &message[at..]);
        inbox.next().unwrap();
    }
    let Ok(Next::Message { bytes, .. }) = inbox.next() else { panic!("not whole") };
    inbox.rest();
    assert!(inbox.memory.len() > 100_000, "kept while it holds something");
    inbox.consume(bytes);
    assert_eq!(inbox.consumed(100_000).len(), 100_000);
    inbox.rest();
    assert_eq!(inbox.memory.len(), INBOX_BYTES_MIN);
}
