//! The leader's driver: its logs and readings, one connection.

use crate::line::Line;
use crate::log::{FakeLog, Piece, Reading};
use crate::world::{Bugs, Seen};
use std::collections::BTreeMap;
use unison_base::Lsn;
use unison_link::messages::{Ack, Served, write};
use unison_link::wire::{Kind, Reader};
use unison_link::{Answer, Leader, LeaderEvent, Refusal, SendError, Verdict, judge};

/// A connection that both ends have open.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) leader: Leader,
    pub(crate) down: Line,
    pub(crate) up: Line,
    pub(crate) readings: BTreeMap<u32, (String, Reading)>,
    pub(crate) leader_done: bool,
}

/// The same messages, but every Ack counts one record more; its check is right.
pub(crate) fn with_false_acks(bytes: &[u8]) -> Vec<u8> {
    let mut changed = Vec::new();
    for (_, message) in crate::tape::messages(bytes) {
        if message[4] != Kind::Ack as u8 {
            changed.extend_from_slice(message);
            continue;
        }
        let ack: Ack = Reader::open(message).unwrap().only().unwrap();
        let mut out = [0; 128];
        let lie = Ack { durable: ack.durable.next(), applied: ack.applied.next(), ..ack };
        let length = write(&mut out, Kind::Ack, &lie).unwrap();
        changed.extend_from_slice(&out[..length]);
    }
    changed
}

pub(crate) fn leader_events(
    connection: &mut Connection,
    logs: &BTreeMap<String, FakeLog>,
    bugs: Bugs,
    seen: &mut Seen,
) {
    loop {
        let leader = &mut connection.leader;
        let Some(event) = leader.poll_event() else { return };
        match event {
            LeaderEvent::Hello { node, token, .. } => {
                assert_eq!((node, token), ("edge-1", "secret"));
                leader.accept();
            }
            LeaderEvent::Follow { namespace, name, cursor } => {
                let Some(log) = logs.get(name.as_str()) else {
                    leader.answer(namespace, Answer::Refuse(Refusal::UnknownNamespace));
                    continue;
                };
                let verdict = judge(&cursor, log.id, Lsn(1), log.durable, |lsn| log.frame_at(lsn));
                let trusted = Verdict::Serve { from: cursor.lsn.next() };
                match if bugs.trusting { trusted } else { verdict } {
                    Verdict::Serve { from } => {
                        let reading = Reading::new(log, from.plus(bugs.late_by));
                        connection.readings.insert(namespace, (name.as_str().into(), reading));
                        let segment_bytes = log.segment_bytes();
                        let durable = log.durable;
                        let served = Served { log: log.id, first: Lsn(1), durable, segment_bytes };
                        leader.answer(namespace, Answer::Serve(served));
                    }
                    Verdict::Refuse(refusal) => leader.answer(namespace, Answer::Refuse(refusal)),
                }
            }
            LeaderEvent::Close { reason } => seen.leader_closes.push(reason),
            LeaderEvent::Ack { .. } | LeaderEvent::Beat { .. } => {}
        }
    }
}

pub(crate) fn send_piece(
    connection: &mut Connection,
    logs: &BTreeMap<String, FakeLog>,
    namespace: u32,
    bytes_max: usize,
    arrival_ms: u64,
    seen: &mut Seen,
) {
    let (name, reading) = connection.readings.get_mut(&namespace).expect("never followed");
    let head = match reading.read(&logs[name.as_str()], bytes_max) {
        None => return connection.leader.nothing_to_send(namespace),
        Some(Piece::Seal(seal)) => connection.leader.seal(namespace, &seal).unwrap().to_vec(),
        Some(Piece::Run(range, frames)) => match connection.leader.run(namespace, &range) {
            Ok(head) => {
                seen.frame_bytes_sent += frames.len() as u64;
                [&head, frames.as_slice()].concat()
            }
            Err(SendError::TooLarge { bytes, .. }) => {
                let bytes = u64::from(bytes);
                let refusal = Answer::Refuse(Refusal::RecordTooLarge { bytes });
                return connection.leader.answer(namespace, refusal);
            }
            Err(error) => return seen.send_errors.push(error),
        },
    };
    connection.down.put(&head, arrival_ms);
}
