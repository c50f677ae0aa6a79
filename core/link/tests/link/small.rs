//! A follower without memory of its own: one namespace, the caller's buffer.

use crate::log::FakeLog;
use crate::log::{Piece, Reading};
use crate::world::config;
use unison_base::{LogId, Lsn, NamespaceName};
use unison_link::messages::Served;
use unison_link::{
    Answer, FollowerEvent, Leader, LeaderConfig, LeaderEvent, LogEnd, NamespaceError, NodeId,
    SmallFollower, TRANSMIT_BYTES_MIN, Timing, Transmit,
};

/// Moves bytes and answers until nothing moves any more.
fn exchange(
    leader: &mut Leader,
    follower: &mut SmallFollower<'_, 1>,
    log: &FakeLog,
    copy: &mut FakeLog,
) {
    let mut reading = Reading::new(log, Lsn(1));
    let mut out = [0; TRANSMIT_BYTES_MIN];
    loop {
        let up = follower.poll_transmit(0, &mut out);
        assert_eq!(leader.handle_bytes(&out[..up], 0), up);
        while let Some(event) = leader.poll_event() {
            match event {
                LeaderEvent::Hello { .. } => leader.accept(),
                LeaderEvent::Follow { namespace, .. } => {
                    let (durable, segment_bytes) = (log.durable, log.segment_bytes());
                    let served = Served { log: log.id, first: Lsn(1), durable, segment_bytes };
                    leader.answer(namespace, Answer::Serve(served));
                }
                _ => {}
            }
        }
        let down = match leader.poll_transmit(0, &mut out) {
            Transmit::Bytes(bytes) => out[..bytes].to_vec(),
            Transmit::Run { namespace, bytes_max, .. } => {
                match reading.read(log, bytes_max).unwrap() {
                    Piece::Run(range, frames) => {
                        [&leader.run(namespace, &range).unwrap(), frames.as_slice()].concat()
                    }
                    Piece::Seal(seal) => leader.seal(namespace, &seal).unwrap().to_vec(),
                }
            }
            Transmit::Idle if up == 0 => return,
            _ => Vec::new(),
        };
        let mut left = down.as_slice();
        while !left.is_empty() {
            left = &left[follower.handle_bytes(left, 0)..];
            take(follower, copy);
        }
    }
}

fn take(follower: &mut SmallFollower<'_, 1>, copy: &mut FakeLog) {
    while let Some(event) = follower.poll_event() {
        match event {
            FollowerEvent::Run { namespace, range, frames } => {
                copy.append_run(&range, frames);
                follower.appended(namespace, range.last(), range.last(), 0);
            }
            FollowerEvent::Seal { seal, .. } => copy.seal_at(&seal),
            FollowerEvent::Welcome { served, .. } => copy.id = served.log,
            FollowerEvent::Greeted { .. } | FollowerEvent::Beat { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn one_namespace_in_five_kilobytes() {
    let mut log = FakeLog::new(1, 65_536);
    (0..500).for_each(|_| log.append(200));
    let mut copy = FakeLog::new(0, 65_536);
    let mut config = config(Timing::default());
    config.run_bytes_max = 4_096;
    config.window_bytes = 16_384;
    let mut memory = [0; 5 << 10];
    assert!(memory.len() >= SmallFollower::<'_, 1>::memory_bytes(4_096));
    let slots = heapless::Vec::new();
    let mut follower = SmallFollower::<'_, 1>::new(config, &mut memory, slots, 1, 0).unwrap();
    let end = LogEnd::empty(LogId::default());
    let name = |text| NamespaceName::new(text).unwrap();
    assert_eq!(follower.follow(name("default"), end), Ok(0));
    assert_eq!(follower.follow(name("default"), end), Err(NamespaceError::Known(0)));
    assert_eq!(follower.follow(name("other"), end), Err(NamespaceError::Full));
    let mut leader = Leader::new(LeaderConfig::new(NodeId::try_from("hub").unwrap()), 0);
    follower.connected(0);
    exchange(&mut leader, &mut follower, &log, &mut copy);
    assert!(log.same_frames(&copy));
    println!("{} bytes a slot", size_of::<unison_link::Slot>());
}
